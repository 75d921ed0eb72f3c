"""The page in a real browser, as a visitor meets it."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from pipeline import imagefile
from pipeline.engine import Engine
from pipeline.playground import Playground
from pipeline.recipe import request_from_recipe
from tests.browser.visit import PHONE, WIDE, Visit, looks, playwright
from tests.fakes import CountingBackend


def test_the_bundled_pairs_report_is_a_tab_with_its_sheets(bundled: str, browser):
    visit = Visit(browser, bundled, WIDE)
    visit.tab("Bundled pair")
    playwright.expect(visit.page.get_by_role("heading", name="How good the bundled pair is")).to_be_visible()
    for sheet in ("Contact sheet of 32 held-out prompts", "Contact sheet of 24 composed prompts"):
        picture = visit.page.get_by_role("img", name=sheet)
        picture.scroll_into_view_if_needed()  # loaded only then
        playwright.expect(picture).to_have_js_property("naturalWidth", 2128)
    for viewport in (WIDE, PHONE):
        visit.page.set_viewport_size(viewport)
        assert visit.sideways() <= 0


@looks
def test_a_newcomer_sees_a_stored_comparison_then_his_own(bundled: str, browser, viewport, scheme):
    visit = Visit(browser, bundled, viewport, scheme)
    playwright.expect(visit.verdict).to_contain_text("stored example")
    assert visit.pictures() == 2
    visit.run(f"a red apple {viewport['width']} {scheme}")
    playwright.expect(visit.claims.first).to_contain_text("faster")
    playwright.expect(visit.claims.nth(1)).to_contain_text("cheaper")
    playwright.expect(visit.verdict).to_contain_text("3 against 24 steps")
    assert visit.pictures() == 2
    assert visit.page.locator(".lane-numbers .bar").count() == 2
    estimate = visit.page.locator(".estimate-box .note")  # in the unit that stands under the pictures
    playwright.expect(estimate).to_contain_text(re.compile(r"s, \$[\d.]+ against \$[\d.]+ per 1,000 \(measured here"))
    assert viewport is PHONE or estimate.bounding_box()["height"] < 24  # one line
    assert visit.sideways() <= 0
    assert visit.faults == []


def test_on_a_phone_the_answer_is_on_the_first_screen_and_the_pictures_begin_there(bundled: str, browser):
    visit = Visit(browser, bundled, PHONE)
    page = visit.page

    def box(selector: str) -> dict:
        return page.locator(selector).locator("visible=true").first.bounding_box()

    def controls() -> list:
        """Form and view buttons, as a thumb meets them."""
        found = page.locator(".header .wrap-inner, .ask input, .ask button, .examples button, .link-box, .views button")
        return [each for each in found.all() if each.is_visible()]

    for _ in range(2):  # of the stored comparison, and of one's own
        assert box(".verdict")["y"] <= 430
        assert box(".picture")["y"] <= PHONE["height"] - 10
        assert [each.inner_text() for each in controls() if each.bounding_box()["height"] < 36] == []
        assert visit.sideways() <= 0
        visit.run("a fox on a phone")
    last = page.locator(".examples button").last
    assert last.bounding_box()["x"] > PHONE["width"]  # reached by scrolling within the row
    last.scroll_into_view_if_needed()
    assert last.bounding_box()["x"] + last.bounding_box()["width"] <= PHONE["width"] and visit.sideways() <= 0
    for label in ("Pair", "Hardware price, or $ an hour"):  # nothing of what is chosen is cut off
        value = page.get_by_label(label, exact=True)
        assert value.evaluate("(input) => input.scrollWidth - input.clientWidth") <= 0
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_label("Link to the settings", exact=False)
    playwright.expect(link).to_be_visible()
    assert link.bounding_box()["y"] > page.get_by_role("button", name="Copy link").bounding_box()["y"]
    page.get_by_label("slider", exact=True).check()
    playwright.expect(page.locator(".wide-view img").first).to_be_in_viewport()
    visit.tab("History")
    starred = page.get_by_text("Starred only")
    playwright.expect(starred).to_be_in_viewport(ratio=1)
    assert starred.bounding_box()["width"] > 60 and visit.sideways() <= 0 and visit.faults == []


def test_a_downloaded_picture_carries_its_recipe(bundled: str, browser, tmp_path: Path):
    visit = Visit(browser, bundled, WIDE)
    visit.run("a fox")
    source = visit.page.locator(".picture img").first.get_attribute("src")
    (tmp_path / "picture.png").write_bytes(httpx.get(source, timeout=10).content)
    _, recipe = imagefile.read(tmp_path / "picture.png")
    request = request_from_recipe(recipe)
    assert (request.prompt, request.model, request.steps) == ("a fox", "diptych-128", 24)


def test_the_three_views(bundled: str, browser):
    visit = Visit(browser, bundled, WIDE)
    visit.run("a slice of pizza")
    visit.page.get_by_label("slider", exact=True).check()
    wipe = visit.page.locator(".wide-view img")
    playwright.expect(wipe).to_have_count(2)
    playwright.expect(visit.page.locator(".picture img").first).not_to_be_visible()
    for under in visit.page.locator(".lane-numbers summary").all():  # times and costs stay
        playwright.expect(under).to_be_visible()
    wide = visit.page.locator(".wide-view").bounding_box()
    assert wide["y"] + wide["height"] <= WIDE["height"]
    visit.page.get_by_label("difference", exact=True).check()
    playwright.expect(visit.page.get_by_text("Where they differ")).to_be_visible()
    visit.page.get_by_label("side by side", exact=True).check()
    playwright.expect(visit.page.locator(".picture img").first).to_be_visible()
    box = visit.page.locator("fieldset", has=visit.page.get_by_label("slider", exact=True))
    assert box.evaluate("box => getComputedStyle(box).overflow") == "visible"  # else the focus ring is cut off
    assert visit.faults == []


def test_an_example_runs_with_one_click(bundled: str, browser):
    visit = Visit(browser, bundled, WIDE)
    visit.page.locator("#example-1").click()
    playwright.expect(visit.prompt).to_have_value("a fox")
    playwright.expect(visit.verdict).not_to_contain_text("stored example")
    playwright.expect(visit.claims.first).to_be_visible()
    assert visit.faults == []


def test_what_came_from_the_cache_is_run_anew_with_one_click(serve, engine, backend: CountingBackend, browser):
    visit = Visit(browser, serve(engine), WIDE)
    anew, example = (visit.page.locator(f"#{name}") for name in ("run-anew", "example-0"))
    for made in (2, 2):
        example.click()
        playwright.expect(visit.verdict).not_to_contain_text("stored example")  # which is of the same prompt
        playwright.expect(visit.verdict).to_contain_text("“a red apple”")
        playwright.expect(visit.compare).to_be_enabled()
        assert len(backend.made) == made
    playwright.expect(visit.claims.first).to_have_text("From the cache")
    anew.click()
    playwright.expect(visit.claims.first).to_contain_text("faster")
    playwright.expect(anew).to_be_hidden()
    assert [made.prompt for made in backend.made] == ["a red apple"] * 4
    visit.page.get_by_role("button", name="Advanced").click()
    playwright.expect(visit.page.get_by_label("Use cached pictures")).to_be_checked()
    seed = visit.page.get_by_label("Seed", exact=True)
    seed.fill("77")
    seed.press("Enter")
    playwright.expect(visit.verdict).to_contain_text("seed 77")
    playwright.expect(visit.page.get_by_label("Use cached pictures")).to_be_hidden()  # the answer is in the window
    assert visit.faults == []


def test_another_price_changes_the_sums_and_runs_nothing(bundled: str, browser):
    visit = Visit(browser, bundled, WIDE)
    visit.run("an octopus")
    numbers = visit.page.locator(".lane-numbers").first
    before = numbers.inner_text()
    price = visit.page.get_by_label("Hardware price", exact=False).first
    price.fill("36")
    price.press("Enter")
    playwright.expect(numbers).not_to_have_text(before)
    assert numbers.inner_text().split(" · ")[0] == before.split(" · ")[0]
    numbers.get_by_text("how?").click()
    playwright.expect(numbers).to_contain_text("$36 per hour ÷ 3600")
    for typed, said in (
        ("gold", "got 'gold'. The costs below stay at $36 an hour."),
        ("36", "faster"),
    ):  # back at the last one, the verdict is too
        price.fill(typed)
        price.press("Enter")
        playwright.expect(visit.verdict).to_contain_text(said)
        once = visit.page.get_by_text("price must be").and_(visit.page.locator(":visible"))
        playwright.expect(once).to_have_count(int(typed == "gold"))


def test_a_script_tag_is_a_caption_and_no_more(bundled: str, browser):
    visit = Visit(browser, bundled, WIDE)
    visit.page.on("dialog", lambda dialog: visit.faults.append(f"dialog: {dialog.message}"))
    visit.run("<img src=x onerror=alert(1)><script>alert(2)</script>")
    assert visit.faults == []


def test_an_empty_or_endless_prompt_is_told_in_one_sentence(bundled: str, browser):
    visit = Visit(browser, bundled, WIDE)
    for prompt, said in (("  ", "1 to 2000 characters"), ("x" * 2001, "at most 2000 characters; got 2001: shorten it")):
        visit.prompt.fill(prompt)  # nothing of what is pasted is cut away without a word
        visit.prompt.press("Enter")
        playwright.expect(visit.page.get_by_role("alert")).to_contain_text(f"prompt must have {said}")
    visit.run("a banana")
    playwright.expect(visit.claims.first).to_be_visible()


def test_stop_then_compare_never_has_two_on_the_device(serve, engine: Engine, backend: CountingBackend, browser):
    backend.step_s = 1.0  # so long can a step be before its end that Stop is pressed in it
    visit = Visit(browser, serve(engine), WIDE)
    for turn in range(3):
        visit.prompt.fill(f"slow {turn}")
        visit.compare.click()
        playwright.expect(visit.page.locator(".progress").last).to_contain_text("step")
        visit.stop.click()
        playwright.expect(visit.verdict).to_contain_text("Stopped")
    backend.step_s = 0.01
    visit.run("the last one")
    playwright.expect(visit.claims.first).to_be_visible()
    assert engine.idle(10)
    assert backend.peak == 1
    assert {request.prompt for request in backend.made if request.model == "old"} == {"the last one"}
    assert visit.faults == []


def test_while_a_run_is_on_nothing_else_can_be_started_and_another_price_waits_for_its_end(
    serve, engine: Engine, backend, browser
):
    visit = Visit(browser, serve(engine), WIDE)
    visit.run("first")
    playwright.expect(visit.verdict).to_contain_text("live previews on")
    backend.gate.clear()
    visit.prompt.fill("second")  # a quick one by what was measured: nothing of it is shown before its end
    visit.compare.click()
    playwright.expect(visit.verdict).to_contain_text("Running")
    for button in (visit.compare, visit.page.locator("#example-0")):
        playwright.expect(button).to_be_disabled()
    price = visit.page.get_by_label("Hardware price", exact=False).first
    price.fill("36")
    price.press("Enter")
    visit.page.wait_for_timeout(500)
    playwright.expect(visit.verdict).to_contain_text("Running")
    backend.gate.set()
    playwright.expect(visit.claims.first).to_be_visible()
    playwright.expect(visit.verdict).not_to_contain_text("live previews")
    playwright.expect(visit.page.locator("#example-0")).to_be_enabled()
    playwright.expect(visit.page.locator(".lane-numbers").first).to_contain_text("$36 per hour")
    visit.tab("Prices")
    playwright.expect(visit.page.locator(".volume")).to_contain_text("at $36 an hour")
    assert visit.faults == []


def test_an_unforeseen_fault_is_one_sentence_and_the_page_goes_on(serve, engine: Engine, backend, browser, monkeypatch):
    def broken(card):
        raise ImportError("a secret path: /home/somebody/lib")

    visit = Visit(browser, serve(engine), WIDE)
    with monkeypatch.context() as patch:
        patch.setattr(backend, "identity", broken)
        visit.prompt.fill("a fox")
        visit.compare.click()
        alert = visit.page.get_by_role("alert")
        playwright.expect(alert).to_contain_text("the server's log says where")
        assert "secret" not in alert.inner_text()
    visit.run("a fox")
    playwright.expect(visit.claims.first).to_be_visible()


def test_a_seed_that_a_browser_cannot_hold_is_refused_and_none_is_a_random_one(serve, engine: Engine, browser):
    visit = Visit(browser, serve(engine), WIDE)
    seed = visit.page.get_by_label("Seed")
    seed.fill("9007199254740993")
    visit.compare.click()
    playwright.expect(visit.page.get_by_role("alert")).to_contain_text("seed must be a whole number from 0 to")
    seed.fill("")
    visit.run("a fox")
    assert int(seed.input_value()) >= 0


def test_by_keyboard_alone_latency_cost_and_throughput_are_measured_and_kept_apart(serve, engine: Engine, browser):
    visit = Visit(browser, serve(engine), WIDE)
    keys = visit.page.keyboard

    def reach(text: str) -> None:
        """Press Tab until the focus is on what has this text or label."""
        for _ in range(60):
            focused = visit.page.evaluate(
                "() => { const at = document.activeElement, label = at.closest('label')?.innerText;"
                " return (label || at.getAttribute('aria-label') || at.innerText || '').trim() }"
            )
            if focused.startswith(text):
                return
            keys.press("Tab")
        raise AssertionError(f"no Tab leads to {text}")

    reach("Prompt")
    keys.type("a fox")
    reach("Advanced")
    keys.press("Enter")
    playwright.expect(visit.page.get_by_label("Measure throughput")).to_be_visible()
    reach("Measure throughput")
    keys.press("Space")
    playwright.expect(visit.page.locator(".estimate-box").first).to_contain_text("if all of it is measured")
    visit.prompt.focus()
    keys.press("Enter")
    playwright.expect(visit.claims).to_have_text(
        [re.compile("faster"), re.compile("cheaper"), re.compile("the throughput")]
    )
    playwright.expect(visit.verdict).to_contain_text("pictures a minute, 4 against 4 at once")
    assert visit.faults == []


def test_whoever_presses_compare_by_keyboard_is_led_to_stop_and_back(serve, engine: Engine, backend, browser):
    visit = Visit(browser, serve(engine), WIDE)
    backend.gate.clear()
    visit.prompt.fill("a fox")
    visit.compare.press("Enter")
    playwright.expect(visit.stop).to_be_focused()
    backend.gate.set()
    playwright.expect(visit.claims.first).to_be_visible()
    playwright.expect(visit.compare).to_be_focused()
    assert visit.faults == []


def test_two_visitors_wait_in_line_and_are_told_their_place(serve, engine: Engine, backend: CountingBackend, browser):
    url = serve(engine)
    backend.step_s = 0.5  # for a first step to be told of, and then none until somebody waits
    first, second = Visit(browser, url, WIDE), Visit(browser, url, PHONE)
    first.prompt.fill("first")
    first.compare.click()
    playwright.expect(first.page.locator(".progress").last).to_contain_text("step")
    backend.gate.clear()
    second.prompt.fill("second")
    second.compare.click()
    playwright.expect(second.page.locator(".progress").first).to_contain_text(
        "1 before you in the line", timeout=10_000
    )
    playwright.expect(second.verdict).to_contain_text("Waiting in line")
    backend.gate.set()
    playwright.expect(second.verdict).to_contain_text("Running")
    for visit in (first, second):
        playwright.expect(visit.claims.first).to_be_visible()
        assert visit.faults == []
    assert backend.peak == 1


def test_a_closed_tab_frees_the_device(serve, engine: Engine, backend: CountingBackend, browser):
    backend.step_s = 0.5
    visit = Visit(browser, serve(engine), WIDE)
    visit.prompt.fill("a" * 20)
    visit.compare.click()
    playwright.expect(visit.page.locator(".progress").last).to_contain_text("step")
    backend.gate.clear()  # it would never end
    visit.context.close()
    assert engine.idle(40)
    assert backend.peak == 1
    assert not [made for made in backend.made if made.model == "old"]


def test_no_other_pair_can_be_chosen_while_two_models_run(serve, engine, backend, browser):
    """Else the page would name two models and show the pictures of two others."""
    backend.gate.clear()
    visit = Visit(browser, serve(engine), WIDE)
    pair = visit.page.get_by_label("Pair", exact=True)
    playwright.expect(pair).to_be_enabled()
    visit.prompt.fill("a slow fox")
    visit.prompt.press("Enter")
    playwright.expect(visit.stop).to_be_enabled()
    playwright.expect(pair).to_be_disabled()
    chosen = pair.input_value()
    visit.stop.click()
    playwright.expect(visit.verdict).to_contain_text("Stopped")
    playwright.expect(pair).to_be_enabled()
    assert pair.input_value() == chosen
    assert visit.faults == []


def test_where_another_pair_is_the_default_every_tab_says_so(serve, engine, browser, monkeypatch):
    """As on a machine with a GPU and weights for it; the stored example is of the catalogue's first."""
    monkeypatch.setattr(Playground, "default_pair", property(lambda self: self.catalog.pair("short")))
    visit = Visit(browser, serve(engine), WIDE)
    playwright.expect(visit.verdict).to_contain_text("Would fewer steps do?")
    playwright.expect(visit.page.get_by_label("Pair", exact=True)).to_have_value("Old, short")
    visit.run("a fox")
    playwright.expect(visit.verdict).to_contain_text("3 against 6 steps")
    visit.tab("Sweep")
    playwright.expect(visit.page.get_by_label("Steps of the sweep")).to_have_value("1..5")
    assert visit.faults == []


def test_what_cannot_be_run_leaves_the_last_comparison_as_it_is(serve, engine, browser):
    visit = Visit(browser, serve(engine), WIDE)
    visit.run("a fox")
    numbers = visit.page.locator(".lane-numbers").all_inner_texts()
    visit.prompt.fill("")
    visit.prompt.press("Enter")
    playwright.expect(visit.page.get_by_role("alert")).to_contain_text("prompt must have")
    assert visit.pictures() == 2
    assert visit.page.locator(".lane-numbers").all_inner_texts() == numbers
