"""A blind vote as HTML: two pictures without names, and what all voters said. Markup escapes what it is
given; functions that return str return text, which is escaped where it is put into HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from pipeline import sweep_votes
from pipeline.cards import JudgeCard
from pipeline.catalog import Catalog
from pipeline.charts import column_heads
from pipeline.history import Entry
from pipeline.stats import NARROW, Interval
from pipeline.sweep_plot import votes_table
from pipeline.sweep_votes import Standing, said_of
from pipeline.votes import Ballot, Tally, Votes, by_pair, roles_of, tally_of
from pipeline.wording import count, guidance_text, share_text, shortened, steps_text, switches_text

CHOICES = {
    "candidate": "Efficient is better",
    "baseline": "Predecessor is better",
    "tie": "Tie",
    "bad": "Both bad",
}


def ballot(said: Ballot, left: str, right: str) -> Markup:
    """``left``, ``right``: where a browser finds the pictures."""
    pictures = Markup("").join(
        Markup('<img src="{}" alt="{} picture of: {}">').format(where, side, said.prompt)
        for side, where in (("Left", left), ("Right", right))
    )
    return Markup(
        '<section class="ballot" aria-live="polite"><p>Which is better? <b>“{}”</b> '
        '<span class="note">pair {} of {}</span></p><div class="ballot-pictures">{}</div></section>'
    ).format(said.prompt, said.done + 1, said.total, pictures)


def standing(votes: Votes, catalog: Catalog, vote: Entry) -> Markup:
    """How a vote stands, whatever it is on. What was said of its pairs is read at once: everybody who has voted on all
    is shown this."""
    casts, pairs = votes.casts(vote), vote.document["pairs"]
    tallies = by_pair(vote, casts)
    if "sweep" not in vote.document:
        named = list(zip(_names(pairs), tallies, strict=True))
        settings = votes.settings(vote)
        return result(tally_of(casts, roles_of(vote)), named, settings, between(catalog, pairs[0], settings == 1))
    of_all = sweep_votes.of_vote(votes, catalog, vote)
    labels = [sweep_votes.pair_label(catalog, vote, pair) for pair in pairs]
    return sweep_result(of_all, sweep_votes.standing_texts(of_all, vote), list(zip(labels, tallies, strict=True)))


def brief(votes: Votes, catalog: Catalog, vote: Entry, voter: str) -> str:
    """The same in one line. Whoever is amid voting is told only how many votes there are: more would sway them."""
    casts = votes.casts(vote)
    if not casts:
        return "No votes yet"
    said = f"{count(len(casts), 'vote')} by {count(len({cast.voter for cast in casts}), 'voter')}"
    if 0 < sum(cast.voter == voter for cast in casts) < len(vote.document["pairs"]):
        return said
    if "sweep" in vote.document:
        return f"{said}: {sweep_votes.standing_claim(sweep_votes.of_vote(votes, catalog, vote))}"
    return f"{said}: {claim(tally_of(casts, roles_of(vote)))}"


def between(catalog: Catalog, pair: Mapping[str, Any], alike: bool) -> str:
    """Which two models were voted on, and where all pairs are ``alike``, at which settings: a vote's link shows neither
    before its last pair."""
    lanes = pair["lanes"]
    names = [catalog.name(lane["model"]) for lane in lanes]
    if not alike:
        return " and ".join(names)
    told = [", ".join([name, steps_text(lane), *_switches(lane)]) for name, lane in zip(names, lanes, strict=True)]
    return " against ".join(told)


def _switches(lane: Mapping[str, Any]) -> list[str]:
    return [text] if (text := switches_text(lane)) else []


def result(tally: Tally, pairs: Sequence[tuple[str, Tally]], settings: int = 1, models: str = "") -> Markup:
    """What was said of the whole vote, and of each pair: what it is called and what was said of it. ``settings``: as
    in :func:`tally_texts`. ``models``: which were voted on."""
    heads = [name.removesuffix(" is better") for name in CHOICES.values()]
    rows = [*pairs, ("All", tally)]
    said = ({"Models": models} if models else {}) | tally_texts(tally, settings)
    return _result(claim(tally), _bar(tally.wins), said, "By prompt", heads, rows)


def sweep_result(standing: Standing, said: Mapping[str, str], pairs: Sequence[tuple[str, Tally]]) -> Markup:
    """The same of a vote on a sweep: of each setting, and of each pair. ``said``:
    :func:`pipeline.sweep_votes.standing_texts`."""
    settings = {setting.label for setting in standing.settings}  # the table has them
    rest = {label: text for label, text in said.items() if label not in settings}
    heads = ["Setting", "Reference", "Tie", "Both bad"]
    return _result(sweep_votes.standing_claim(standing), votes_table(standing), rest, "By pair", heads, pairs)


def _result(
    claimed: str,
    drawn: Markup,
    said: Mapping[str, str],
    by: str,
    heads: Sequence[str],
    rows: Sequence[tuple[str, Tally]],
) -> Markup:
    """``rows``: what each is called and what was said of it."""
    return Markup(
        '<section class="verdict vote-result" aria-live="polite"><p class="claim">{}</p>{}{}'
        '<details><summary>{}</summary><div class="vote-table" tabindex="0" role="region" '
        'aria-label="Votes {}"><table><thead><tr><td></td>{}</tr></thead>'
        "<tbody>{}</tbody></table></div></details></section>"
    ).format(
        claimed,
        drawn,
        Markup("").join(Markup("<p>{}: {}</p>").format(label, text) for label, text in said.items()),
        by,
        by.lower(),
        column_heads(heads),
        Markup("").join(_row(name, tally) for name, tally in rows),
    )


def _names(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each pair by its prompt; of one prompt that was drawn several times, also by what differs, else by its place."""
    details = [_details(pair) for pair in pairs]
    names = []
    for pair, own in zip(pairs, details, strict=True):
        alike = [each for other, each in zip(pairs, details, strict=True) if other["prompt"] == pair["prompt"]]
        differing = [text for key, text in own.items() if len({each.get(key) for each in alike}) > 1]
        names.append(", ".join([f"“{pair['prompt']}”", *differing]))
    several = {name for name, number in Counter(names).items() if number > 1}
    return [f"{name}, pair {place}" if name in several else name for place, name in enumerate(names, 1)]


def _details(pair: Mapping[str, Any]) -> dict[str, str]:
    """What else two pictures were made with, by what it is."""
    negative = pair.get("negative_prompt")  # entries of older versions have none
    found = {
        "seed": f"seed {pair['seed']}",
        "negative": f"negative prompt “{shortened(negative)}”" if negative else "no negative prompt",
        "size": f"{pair['width']} × {pair['height']}",
    }
    for lane in pair["lanes"]:
        role = lane["role"]
        texts = {
            "steps": steps_text(lane),
            "guidance": guidance_text(lane),
            "switches": switches_text(lane) or "no switch",
        }
        found |= {f"{role} {key}": f"{role}: {text}" for key, text in texts.items()}
    return found


def claim(tally: Tally) -> str:
    """Who is ahead, in a few words that promise no more than the votes do."""
    wins = tally.wins
    if wins is None:
        return "No preference yet"
    if not wins.decided:
        return "Neither is preferred" if tally.needed == 0 else "Too close to call"
    return "The efficient model is preferred" if wins.low > 0.5 else "The predecessor is preferred"


def tally_texts(tally: Tally, settings: int = 1) -> Mapping[str, str]:
    """All of it as label and text, for page and report. ``settings``: how many different ones the pictures had."""
    numbers = ", ".join(f"{name} {getattr(tally, choice)}" for choice, name in CHOICES.items())
    found = {"Votes": f"{tally.votes:,} by {count(tally.voters, 'voter')}: {numbers}"}
    if tally.wins:
        found["The efficient picture was preferred in"] = (
            f"{share_text(tally.wins)} of the votes that preferred one; ties and both bad are not in it"
        )
        found["To tell who is ahead"] = _needed(tally)
    if tally.as_good:
        found["It was at least as good in"] = (
            f"{share_text(tally.as_good)} of the votes that called one good{_besides(tally)}"
        )
    found["How it was asked"] = (
        "pictures without names, sides and order random for each voter; 95 % Wilson intervals, which take each vote as "
        "independent: many votes of few people are worth less than they say"
    )
    if settings > 1:
        found["Pooled"] = f"the pictures were drawn at {settings} different settings, which are counted together here"
    return found


def _needed(tally: Tally) -> str:
    """What it takes to tell who is ahead; votes that prefer neither picture bring it no nearer."""
    even = f"they are even, to within {100 * NARROW:g} points"
    if tally.needed == 0:
        return f"{f'{even}; ' if tally.even else ''}no more votes are needed"
    every = round(tally.needed * tally.votes / (tally.candidate + tally.baseline))
    if tally.even:
        return f"votes like these will not; about {every:,} more of them would tell that {even}"
    return f"needs about {every:,} more votes like these"


def _besides(tally: Tally) -> str:
    """The votes that no share is of."""
    return f" (besides, {tally.bad:,} called both bad)" if tally.bad else ""


def people(tally: Tally) -> str:
    """The same in one sentence beside a comparison; empty of no votes."""
    if tally.as_good is None:
        return f"In blind votes at these settings {tally.bad} of {tally.bad} called both bad." if tally.bad else ""
    return (
        f"In blind votes at these settings the efficient model’s was at least as good in {share_text(tally.as_good)} "
        f"of {count(tally.scored, 'vote')}{_besides(tally)} by {count(tally.voters, 'voter')}."
    )


def judge(card: JudgeCard, tally: Tally) -> str:
    """The same of a network."""
    return (
        f"{card.name}, a network that puts first {card.puts_first}, says of the efficient model’s at these settings: "
        f"{said_of(tally, 'picture')}, so a score of {share_text(tally.score)}."
    )


def _bar(share: Interval | None) -> Markup:
    """The win rate with its interval on a scale from 0 to 100 %, with a line at one half."""
    if share is None:
        return Markup("")
    return Markup(
        '<div class="win-rate" aria-hidden="true"><span>predecessor</span><div>'
        '<i class="range" style="left:{:.1f}%;width:{:.1f}%"></i>'
        '<i class="point" style="left:{:.1f}%"></i></div><span>efficient</span></div>'
    ).format(100 * share.low, 100 * (share.high - share.low), 100 * share.share)


def _row(head: str, tally: Tally) -> Markup:
    cells = Markup("").join(Markup("<td>{}</td>").format(getattr(tally, choice)) for choice in CHOICES)
    return Markup('<tr><th scope="row">{}</th>{}</tr>').format(head, cells)
