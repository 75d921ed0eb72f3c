"""The conventions of diffusers' PRXPixelPipeline, written once for training, distillation and contact sheets.

t is the noise level: 1 = noise, 0 = picture, x_t = (1 - t) x0 + t eps (noise_scale 1). The network predicts P = x0;
velocity = (x_t - P) / max(t, 0.05); guidance acts on P; a step is Euler. Predicting the clean picture is what lets
a plain transformer work on raw pixel patches (JiT, arXiv 2511.13720). Pictures are float (B, 3, S, S) in [-1, 1].
"""

from collections.abc import Callable
from functools import partial

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, PRXTransformer2DModel

from pipeline.device import cpu_computes_bf16

T_FLOOR = 0.05  # the pipeline's own clamp
# The loss clamps earlier. Measured after 350 steps: the prediction's error is about the same (0.024) at every t below
# 0.3, so that with 0.05 the one picture in a hundred drawn there made half of the loss and most of its noise.
LOSS_T_FLOOR = 0.25
EDGE_WEIGHT = 0.5
# Of the jumps at the edges of patches. They are few among all neighbours, and made where a picture is decided, at
# levels where the weight above has all but gone: predictions at t = 0.97 jumped there by 4.7 times (squared) as much as
# elsewhere.
SEAM_WEIGHT = 2.0
FINISH_FROM = 0.6  # share of the training after which lower noise levels get their turn
TRANSFORMER = {
    "in_channels": 3,
    "patch_size": 16,
    "bottleneck_size": 128,
    "context_in_dim": 128,
    "hidden_size": 256,
    "num_heads": 4,
    "depth": 8,
    "mlp_ratio": 3.5,
    "axes_dim": [32, 32],
}
STEPS, GUIDANCE = 24, 3.0  # the predecessor's recommended settings
FEW_STEPS = 3

# The stock schedule without `shift_terminal` ends at t = 0.001, which wastes its last evaluation: one step there
# changes nothing. Ending just above the clamp makes the last step land on the network's own picture.
PREDECESSOR_SCHEDULE = {"shift": 3.0, "shift_terminal": 0.06}
# 1, 0.94, 0.60, 0: most of a picture is decided in the first tenth, and at 0.6 it is all but known (see draw_levels).
EFFICIENT_SCHEDULE = {"shift": 6.0, "shift_terminal": 0.6}

# Model(x_t (B,3,S,S), t (B,), text (B,L,D), mask (B,L)) -> P (B,3,S,S)
Denoiser = Callable[..., tuple[torch.Tensor]]


def make_scheduler(settings: dict) -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(**settings)


def sigmas(settings: dict, steps: int) -> torch.Tensor:
    """The stock scheduler's noise levels for `steps` steps: float32 (steps + 1,), from 1 to 0."""
    scheduler = make_scheduler(settings)
    scheduler.set_timesteps(steps)
    return scheduler.sigmas


def autocast(device: str, wanted: bool = True) -> torch.autocast:
    """Arithmetic in bfloat16, where that is quick. A processor without units for it takes three times as long as in
    float32: 14 against 38 pictures a second; a GPU without them (T4, V100) only emulates it."""
    quick = cpu_computes_bf16 if device == "cpu" else partial(torch.cuda.is_bf16_supported, including_emulation=False)
    return torch.autocast(device, torch.bfloat16, enabled=wanted and quick())


def initialise(transformer: PRXTransformer2DModel) -> None:
    """DiT's start (arXiv 2212.09748): every block an identity (the class does that) and a zero output layer."""
    for layer in (transformer.final_layer.linear, transformer.final_layer.adaLN_modulation[1]):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    for name, weight in transformer.named_parameters():
        if weight.ndim == 2 and "modulation" not in name and "adaLN" not in name and "final_layer" not in name:
            torch.nn.init.xavier_uniform_(weight)


def predict(model: Denoiser, x: torch.Tensor, t: torch.Tensor, text: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    output = model(hidden_states=x, timestep=t, encoder_hidden_states=text, attention_mask=mask, return_dict=False)
    return output[0].float()


def draw_levels(count: int, progress: float, generator: torch.Generator) -> torch.Tensor:
    """Noise levels (count,), where the generator is: logit-normal(3.5, 1.2), median 0.97, and at last (1.8, 1.5); a
    tenth uniform.

    JiT's mirror image would be (0.8, 0.8). Large flat shapes shine through much more noise than photographs do:
    measured on these pictures, at t <= 0.85 a wrong caption costs the prediction under 10 %, and below 0.6 the
    picture is all but known. So what a caption means is learned near t = 1, and slowly; how to finish a picture is
    learned below, and fast, which is why it comes last.
    """
    mean, width = (3.5, 1.2) if progress < FINISH_FROM else (1.8, 1.5)
    dice = {"generator": generator, "device": generator.device}
    normal = torch.sigmoid(mean + width * torch.randn(count, **dice))
    uniform = torch.rand(count, **dice)
    return torch.where(torch.rand(count, **dice) < 0.1, uniform, normal)


def velocity_loss(
    model: Denoiser, images, text, mask, t: torch.Tensor, noise: torch.Tensor, patch: int
) -> torch.Tensor:
    """Mean squared error of the velocity that follows from the prediction, less weight on the last traces of noise.

    The same error's steps between neighbouring pixels count besides, the more the less noise there is: an error that
    jumps at the edge of a patch shows, and a smooth one does not. Those over the edges count again, at every level.
    The best prediction is the same for all three. patch: its side in pixels.
    """
    level = t[:, None, None, None]
    x = (1 - level) * images + level * noise
    error = (predict(model, x, t, text, mask) - images) / level.clamp(min=LOSS_T_FLOOR)
    steps = error.diff(dim=-1).square().mean((1, 2, 3)) + error.diff(dim=-2).square().mean((1, 2, 3))
    return error.square().mean() + EDGE_WEIGHT * ((1 - t) * steps).mean() + SEAM_WEIGHT * seams(error, patch)


def seams(error: torch.Tensor, patch: int) -> torch.Tensor:
    """Mean squared difference of an error (B, 3, S, S) between pixels on two sides of a patch's edge; a scalar.

    Pixels 1, 2 and 4 apart, with weights 1, 1/2 and 1/4, both ways added. With neighbours alone a network brings the
    outermost pixels of its patches together and leaves the patches apart: a grid of thin lines.
    """
    total = error.new_zeros(())
    for dim in (-1, -2):
        rest = error.shape[dim] - patch
        sides = error.narrow(dim, 0, rest), error.narrow(dim, patch, rest)
        before, after = (side.unflatten(dim, (-1, patch)) for side in sides)  # `dim` is now within a patch
        for apart in (1, 2, 4):
            step = after.narrow(dim, 0, apart) - before.narrow(dim, patch - apart, apart)
            total = total + step.square().mean() / apart
    return total


@torch.no_grad()
def roll_out(
    model: Denoiser,
    x: torch.Tensor,
    levels: torch.Tensor,
    text: torch.Tensor,
    mask: torch.Tensor,
    empty: tuple[torch.Tensor, torch.Tensor] | None = None,
    guidance: float = 1.0,
) -> list[torch.Tensor]:
    """Euler steps from x at levels[0] down to levels[-1]; every state, the start included.

    text (B, L, D) and mask (B, L); empty: the same for one empty prompt, (1, L, D) and (1, L), needed when
    guidance > 1. levels: (steps + 1,), shared by the batch.
    """
    states = [x]
    count = len(x)
    if guidance > 1:
        text = torch.cat([empty[0].expand(count, -1, -1), text])
        mask = torch.cat([empty[1].expand(count, -1), mask])
    for now, then in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        t = torch.full((len(text),), now, device=x.device)
        if guidance > 1:
            nothing, something = predict(model, torch.cat([x, x]), t, text, mask).chunk(2)
            clean = nothing + guidance * (something - nothing)
        else:
            clean = predict(model, x, t, text, mask)
        x = x + (then - now) * (x - clean) / max(now, T_FLOOR)
        states.append(x)
    return states
