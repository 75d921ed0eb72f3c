"""How the bundled pair was made: `python -m pipeline.training [data|train|distil|sheet|export|evaluate]`.

Nothing here is imported by the playground: what it makes are ordinary diffusers folders in assets/models.

    data.py        fetch the packages; pack pictures, names and keywords into one file
    captions.py    what may be said about a picture: names, keywords, colours, backgrounds; what is held out
    batches.py     draw k -> pictures and captions of training step k, a pure function of (seed, k)
    text.py        tokenizer and text encoder, started from MiniLM's vectors
    flow.py        the conventions of PRXPixelPipeline: noise, loss, guidance, schedules, roll-outs
    checkpoint.py  resumable state, the clock of active minutes, the moving average
    loop.py        the optimisation loop that train and distil share
    sheets.py      contact sheets
    train.py       the predecessor
    distil.py      the efficient one, from the predecessor's own trajectories
    export.py      the diffusers folders in assets/models, with their model cards
    suite.py       the prompts that both models are judged on
    art.py         drawings of the same things by other hands, for the judge
    judge.py       the judge: which prompt a picture shows
    metrics.py     what is said of pictures, as pure functions of numbers
    evaluate.py    draw, judge and report
"""
