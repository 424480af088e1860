"""The page in a real Chromium, against a real growyd and simulated devices: what a grower does with it.

One browser and one growyd for all of it. Each test begins where a person would: logged in, at some part of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.browser import CHROMIUM, DRIVER, ENTER, MISSING, TAB, Browser
from rig.garden import NAMED, NEWCOMER, Garden

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason=MISSING),
    pytest.mark.xdist_group("browser"),  # where tests run side by side: still one browser, one growyd
]
PERSON, PASSWORD = "robin", "tomatoes-in-june"
BENCH_B = NAMED[2]
HEAT_MAT = f"{NAMED[0]}:19"
PHONE = (360, 740)
DESKTOP = (1120, 720)
HOSTILE = "<img src=x onerror=document.title='owned'>"
MOST_PICTURE = 150_000
CONTRAST = """
const luminance = ([r, g, b]) => {
  const linear = (one) => one <= .04045 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4;
  const [x, y, z] = [r, g, b].map((one) => linear(one / 255));
  return .2126 * x + .7152 * y + .0722 * z;
};
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
    if (a === 1) return [r, g, b];
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll('body *')) {
  const own = [...element.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
  if (!own || !element.checkVisibility() || element.closest('.hidden, svg, option')) continue;
  const both = [luminance(numbers(getComputedStyle(element).color)), luminance(ground(element))];
  const ratio = (Math.max(...both) + .05) / (Math.min(...both) + .05);
  if (ratio < 4.5) found.push(`${element.className}: ${element.innerText.slice(0, 30)} ${ratio.toFixed(2)}`);
}
return found;
"""
"""Texts that stand out too little from what is behind them: WCAG 2 AA asks for 4.5 to 1."""


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Garden]:
    made = Garden(tmp_path_factory.mktemp("garden"))
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def window(garden: Garden, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Logged in, after the first run's setup has been done by hand."""
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    try:
        browser.screen(*DESKTOP)
        browser.prefers("light")
        browser.go(garden.origin)
        set_up(browser, garden)
        yield browser
    finally:
        browser.end()


@pytest.fixture
def page(window: Browser) -> Iterator[Browser]:
    """At the first part of the page, on a desktop."""
    window.screen(*DESKTOP)
    show(window, "now")
    yield window
    window.prefers("light")


@pytest.fixture
def picture(request: pytest.FixtureRequest, window: Browser) -> object:
    """Keeps a screenshot where `--screenshots FOLDER` says, for the README."""
    folder = request.config.getoption("--screenshots")

    def take(name: str) -> None:
        if folder:
            shot = window.picture()
            assert len(shot) <= MOST_PICTURE, name
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{name}.png").write_bytes(shot)

    return take


def set_up(browser: Browser, garden: Garden) -> None:
    assert "no accounts yet" in browser.reads("main", "Make the account")
    browser.fill("#login-username", PERSON)
    browser.fill("#login-email", "robin@example.org")
    browser.fill("#login-password", PASSWORD)
    browser.fill("#login-again", PASSWORD)
    browser.fill("#login-code", "0" * 16)
    browser.click("main button[type=submit]")
    browser.reads("main", "needs the setup code")
    browser.fill("#login-code", garden.say("GET", "/api/v1/auth/status")["setup_code"])
    browser.click("main button[type=submit]")
    browser.reads("#link", "Live")


def show(browser: Browser, part: str) -> None:
    browser.js("location.hash = arguments[0]; scrollTo(0, 0)", part)
    browser.there(f'nav a[href="#{part.partition("/")[0]}"][aria-current]')


def card(esp_id: str) -> str:
    return f'article[data-esp="{esp_id}"]'


def reading(browser: Browser, esp_id: str, label: str) -> str:
    """The selector of a sensor on a device by what stands beside it."""
    found = browser.wait(
        "[...document.querySelectorAll(arguments[0])]"
        ".find((row) => row.innerText.includes(arguments[1]))?.dataset.sensor",
        *(f"{card(esp_id)} [data-sensor]", label),
    )
    return f'[data-sensor="{found}"]'


def test_values_are_there_with_unit_and_age_and_change_by_themselves(page: Browser) -> None:
    air = reading(page, BENCH_B, "Temperature")
    page.wait("/just now|\\d s ago/.test(document.querySelector(arguments[0]).innerText)", air)
    first = page.text(air)

    assert re.search(r"\d+\.\d\s*°C", first)
    page.wait("document.querySelector(arguments[0]).innerText !== arguments[1]", air, first)
    assert page.text(f"{card(BENCH_B)} h3") == "Bench B"


def test_the_first_look_on_a_desktop(page: Browser, garden: Garden, picture: object) -> None:
    assert callable(picture)
    garden.settled()
    page.wait("document.querySelector('.output') && !document.querySelector('.output.unknown')")
    picture("page-desktop")


def test_a_chart_of_a_day_has_its_gap_and_can_be_looked_at_closer(page: Browser) -> None:
    page.click(f"{reading(page, BENCH_B, 'Temperature')} a")
    page.there("[data-chart] canvas")
    page.click('[data-range="1d"]')
    page.wait("+document.querySelector('[data-chart]').dataset.points > 200")

    said = page.reads("[data-chart]", "Each point stands for 5 min")
    assert "with 1 gap" in said
    assert page.js(CONTRAST) == []
    drawn = "document.querySelector('[data-chart] canvas')"
    assert page.js(
        f"const c = {drawn}; const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return data.some((one, at) => at % 4 === 3 && one > 200)"
    )
    page.drag("[data-chart] .u-over", 0.2, 0.3)
    page.reads("[data-chart]", "Each point stands for 1 min")
    page.js("[...document.querySelectorAll('button')].find((one) => one.innerText === 'Up to now').click()")
    page.reads("[data-chart]", "Each point stands for 5 min")


def test_an_actuator_is_switched_its_device_confirms_it_and_the_page_says_who_wants_it(
    page: Browser, garden: Garden
) -> None:
    garden.settled()
    show(page, "switches")
    mat = f'[data-actuator="{HEAT_MAT}"]'
    page.reads(mat, "Off")
    page.click(f'{mat} [data-command="ON"]')

    page.there(f'{mat} [data-answer="yes"]')
    page.there(f'{mat}[data-state="on"]')
    why = page.reads(f"{mat} .why", "wants it on")
    assert PERSON in why
    page.click(f'{mat} [data-command="AUTO"]')
    page.there(f'{mat}[data-state="off"]')


def test_a_rule_says_why_and_what_it_would_do_and_is_switched_off_and_on(page: Browser) -> None:
    show(page, "rules")
    rule = page.wait(
        "[...document.querySelectorAll('[data-rule]')]"
        ".find((one) => one.innerText.includes('keep warm'))?.dataset.rule"
    )
    there = f'[data-rule="{rule}"]'
    assert "Temperature (Bench B)" in page.text(there)
    page.click(f"{there} [data-try]")
    page.there(f"{there} [data-trial]")
    assert "Nothing was switched" in page.text(f"{there} [data-trial]")
    page.click(f"{there} [role=switch]")
    page.there(f"{there} [role=switch][aria-checked=false]")
    page.click(f"{there} [role=switch]")
    page.there(f"{there} [role=switch][aria-checked=true]")


def test_a_new_device_is_approved(page: Browser, garden: Garden) -> None:
    show(page, "devices")
    new = f'[data-pending="{NEWCOMER}"]'
    page.fill(f"{new} [name=name]", "Nutrient tank")
    page.click(f"{new} [value=approve]")

    page.wait("!document.querySelector(arguments[0])", new)
    said = garden.say("GET", f"/api/v1/esp/devices/{NEWCOMER}")
    assert said["name"] == "Nutrient tank"
    assert said["approved_by"] == f"user:{PERSON}"


def test_a_sensor_that_is_pulled_off_is_stale_in_words_and_its_old_value_is_no_value(
    page: Browser, garden: Garden
) -> None:
    garden.settled()
    soil = reading(page, NAMED[1], "Bed")
    garden.sim.do(lambda fleet: fleet.device(NAMED[1]).unplug(34))
    garden.sim.do(lambda fleet: fleet.device(NAMED[1]).unplug(35))
    air = reading(page, NAMED[1], "Temperature")
    garden.sim.do(lambda fleet: fleet.device(NAMED[1]).unplug(68))

    page.there(f'{air}:is([data-state="stale"], [data-state="error"])', seconds=30)
    assert page.text(f"{air} .value").strip().startswith("–")
    assert re.search(r"silent for|error", page.text(f"{air} .note"))
    assert page.js("return document.querySelector(arguments[0]).querySelector('.note svg') !== null", air)
    assert page.text(soil)
    assert page.js(CONTRAST) == []
    show(page, "alarms")
    page.reads("main", "Air: Temperature on Bench A")
    garden.sim.do(lambda fleet: fleet.device(NAMED[1]).plug(68))


def test_names_of_devices_are_text_whatever_they_are(page: Browser, garden: Garden) -> None:
    garden.say("PATCH", f"/api/v1/esp/devices/{NAMED[0]}", {"name": HOSTILE})
    try:
        page.go(garden.origin)  # names that others change come with the next look
        show(page, "devices")
        page.reads("main", HOSTILE)
        show(page, "now")
        page.reads(f"{card(NAMED[0])} h3", HOSTILE)
        assert page.js("return document.querySelector('main img, main script') === null")
        assert "owned" not in str(page.js("return document.title"))
    finally:
        garden.say("PATCH", f"/api/v1/esp/devices/{NAMED[0]}", {"name": "Propagation bench"})
        page.go(garden.origin)
    page.reads(f"{card(NAMED[0])} h3", "Propagation bench")


def test_the_emergency_stop_shows_its_proof_and_what_is_not_proven_and_is_ended_on_purpose(
    page: Browser, garden: Garden, picture: object
) -> None:
    assert callable(picture)
    garden.sim.do(lambda fleet: fleet.device(NAMED[0]).pull_cable())
    page.wait(
        "document.querySelector(arguments[0]).innerText.includes('offline')", card(NAMED[0]), seconds=20
    )
    page.click("#stop-everything")

    page.reads("#stop-state", "Everything is stopped")
    page.reads("#proof .proven", "Proven: ")
    assert "NOT PROVEN: it is offline" in page.reads("#proof .unproven", "Propagation bench")
    page.wait(
        "document.querySelectorAll('#proof .proven').length === arguments[0] && "
        "document.querySelectorAll('#proof .unproven').length === 1",
        len(garden.specs) - 1,
    )
    assert page.text("#shouted").startswith("Emergency stop of everything")
    assert page.js(CONTRAST) == []
    picture("page-emergency-stop")
    garden.sim.do(lambda fleet: fleet.device(NAMED[0]).plug_in())
    page.wait("!document.querySelector('#proof .unproven')", seconds=30)

    page.click("#stop-end")
    page.wait("document.activeElement.id === 'stop-end-no'")
    assert garden.say("GET", "/api/v1/actuators/emergency")["active"]
    page.click("#stop-end-yes")
    page.reads("#stop-state", "No emergency stop is in force", seconds=30)
    assert not garden.say("GET", "/api/v1/actuators/emergency")["active"]


def test_the_emergency_stop_is_the_first_thing_that_a_keyboard_reaches(page: Browser, garden: Garden) -> None:
    page.go(garden.origin)
    page.reads("#link", "Live")
    page.press(TAB)

    assert page.js("return document.activeElement.id") == "stop-everything"
    outline = "return getComputedStyle(document.activeElement).outlineWidth"
    assert float(page.js(outline).removesuffix("px")) >= 3
    page.press(ENTER)
    page.reads("#stop-state", "Everything is stopped")
    page.press(TAB)
    assert page.js("return document.activeElement.id") == "stop-end"
    page.press(ENTER)
    page.wait("document.activeElement.id === 'stop-end-no'")
    page.press(TAB)
    assert page.js("return document.activeElement.id") == "stop-end-yes"
    page.press(ENTER)
    page.reads("#stop-state", "No emergency stop is in force", seconds=30)
    assert not garden.say("GET", "/api/v1/actuators/emergency")["active"]


@pytest.mark.parametrize("part", ["now", "switches", "rules", "charts", "alarms", "devices"])
def test_a_phone_shows_every_part_without_scrolling_sideways(page: Browser, part: str) -> None:
    page.screen(*PHONE, scale=2, phone=True)
    show(page, part)
    page.there("#stop-everything")

    assert page.js("return document.documentElement.scrollWidth") <= PHONE[0]
    assert page.js(
        "const box = document.querySelector('#stop-everything').getBoundingClientRect();"
        "const there = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);"
        "return box.bottom <= innerHeight && box.height >= 44 && there.closest('#stop-everything') !== null"
    )


def test_a_phone_in_the_dark(page: Browser, picture: object) -> None:
    assert callable(picture)
    page.screen(*PHONE, scale=2, phone=True)
    page.prefers("dark")
    reading(page, NAMED[0], "Temperature")

    page.wait("getComputedStyle(document.body).backgroundColor === 'rgb(15, 20, 17)'")
    picture("page-phone-dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(page: Browser, scheme: str) -> None:
    page.prefers(scheme)
    page.wait("document.documentElement.dataset.theme === arguments[0]", scheme)
    for part in ("now", "switches", "rules", "charts", "alarms", "devices"):
        show(page, part)
        assert page.js(CONTRAST) == [], part


def test_every_control_has_a_name(page: Browser) -> None:
    for part in ("now", "switches", "rules", "charts", "devices"):
        show(page, part)
        nameless = page.js(
            "return [...document.querySelectorAll('button, a, input, select')].filter((one) => "
            "!one.innerText?.trim() && !one.getAttribute('aria-label') && !one.labels?.length)"
            ".map((one) => one.outerHTML)"
        )
        assert nameless == [], part


def test_the_colours_can_be_chosen_and_are_remembered(page: Browser) -> None:
    page.click("#theme")
    assert page.js("return document.documentElement.dataset.theme") == "light"
    page.click("#theme")
    assert page.js("return getComputedStyle(document.body).backgroundColor") == "rgb(15, 20, 17)"
    assert page.js("return localStorage.getItem('growy.theme')") == "dark"
    page.click("#theme")
    assert page.js("return localStorage.getItem('growy.theme')") is None


def log_in(browser: Browser, name: str, password: str) -> None:
    browser.fill("#login-username", name)
    browser.fill("#login-password", password)
    browser.click("main button[type=submit]")


def test_one_logs_out_and_in_and_a_wrong_password_is_said_to_be_one(page: Browser, garden: Garden) -> None:
    page.click("#logout")
    page.there("#login-password")
    assert page.js("return document.querySelector('#stop').innerText") == ""
    log_in(page, PERSON, "not-this-one")
    page.reads("main [role=alert]", "do not fit together")
    assert page.js(CONTRAST) == []
    page.screen(*PHONE, scale=2, phone=True)
    assert page.js("return document.documentElement.scrollWidth") <= PHONE[0]
    page.screen(*DESKTOP)
    log_in(page, PERSON, PASSWORD)
    page.reads("#link", "Live")
    page.go(garden.origin)
    page.reads("#link", "Live")  # and stays so when the page is loaded again


def test_a_token_in_the_address_logs_in_and_is_taken_out_of_it(page: Browser, garden: Garden) -> None:
    token = page.js("return JSON.parse(sessionStorage.getItem('growy.tokens')).access")
    page.js("sessionStorage.clear()")
    page.go(f"{garden.origin}/?fresh")
    page.there("#login-password")
    page.js("location.hash = arguments[0]", f"token={token}")

    page.reads("#link", "Live")
    assert token not in page.url
    page.click("#logout")
    page.there("#login-password")
    page.go(f"{garden.origin}/?again#token={token}")
    page.reads("main [role=alert]", "not valid any more")
    assert token not in page.url
    log_in(page, PERSON, PASSWORD)
    page.reads("#link", "Live")


def test_an_access_token_that_has_run_out_is_renewed_without_a_word(page: Browser, garden: Garden) -> None:
    page.js(
        "const held = JSON.parse(sessionStorage.getItem('growy.tokens'));"
        "sessionStorage.setItem('growy.tokens', JSON.stringify({...held, access: 'run.out.long-ago'}))"
    )
    page.go(garden.origin)

    page.reads("#link", "Live")
    reading(page, BENCH_B, "Temperature")
    assert page.js("return JSON.parse(sessionStorage.getItem('growy.tokens')).access") != "run.out.long-ago"


def test_a_login_that_will_run_out_is_renewed_before_and_nothing_is_cut_off(
    page: Browser, garden: Garden
) -> None:
    old = page.js(
        "const held = JSON.parse(sessionStorage.getItem('growy.tokens'));"
        "sessionStorage.setItem('growy.tokens', JSON.stringify({...held, until: Date.now() + 60000}));"
        "return held.access"
    )
    page.go(garden.origin)
    page.reads("#link", "Live")
    streams = len([one for one in page.requests() if "/ws/" in one])
    page.js(
        "window.wasCut = false; new MutationObserver(() => { wasCut ||= !!document.querySelector('.link.down') })"
        ".observe(document.querySelector('#top'), {subtree: true, childList: true, attributes: true})"
    )

    page.wait("JSON.parse(sessionStorage.getItem('growy.tokens')).access !== arguments[0]", old)
    air = reading(page, BENCH_B, "Temperature")
    page.wait("document.querySelector(arguments[0]).innerText !== arguments[1]", air, page.text(air))
    assert len([one for one in page.requests() if "/ws/" in one]) == streams + 1
    assert page.js("return wasCut") is False


def test_who_may_only_look_sees_no_switches_and_is_told_why(page: Browser, garden: Garden) -> None:
    viewer = {"username": "guest", "password": PASSWORD, "role": "viewer"}
    garden.say("POST", "/api/v1/auth/register", viewer)
    page.click("#logout")
    page.there("#login-password")
    log_in(page, "guest", PASSWORD)
    page.reads("#link", "Live")

    assert page.js("return document.querySelector('#stop-everything').disabled")
    page.reads("#stop-state", "this needs the role operator")
    reading(page, BENCH_B, "Temperature")
    show(page, "switches")
    page.reads("main", "You are logged in as viewer")
    assert page.js("return document.querySelector('[data-command]') === null")
    show(page, "rules")
    page.there("[role=switch]:disabled")
    page.click("#logout")
    page.there("#login-password")
    log_in(page, PERSON, PASSWORD)
    page.reads("#link", "Live")


def test_when_growyd_is_gone_the_page_says_so_goes_on_trying_to_stop_and_comes_back(
    page: Browser, garden: Garden
) -> None:
    air = reading(page, BENCH_B, "Temperature")
    page.there(f'{air}[data-state="fresh"]')
    garden.growyd.kill()

    page.reads("#link", "Cut off since")
    page.there(f'{air}[data-state="lost"]')
    assert page.text(f"{air} .value").strip().startswith("–")
    assert "not known" in page.text("#stop-state")
    show(page, "switches")
    page.reads(f'[data-actuator="{HEAT_MAT}"]', "Not known now")
    page.click("#stop-everything")
    page.reads("#stop-state", "NOT STOPPED YET")
    garden.growyd.start()
    page.reads("#link", "Live", seconds=30)
    page.reads("#stop-state", "Everything is stopped")  # it has gone on trying
    garden.growyd.say("POST", "/api/v1/actuators/clear_emergency?wait=0", {})
    page.reads("#stop-state", "No emergency stop is in force", seconds=30)
    show(page, "now")
    page.there(f'{air}[data-state="fresh"]', seconds=30)


def test_nothing_was_asked_of_anybody_else(page: Browser, garden: Garden) -> None:
    own = garden.origin.partition("//")[2]
    asked = page.requests()

    assert len(asked) > 50
    # data: and chrome: are in the page and in Chromium itself.
    assert [one for one in asked if not re.match(rf"(http|ws)://{re.escape(own)}/|data:|chrome:", one)] == []


def test_the_console_has_nothing_to_say(page: Browser) -> None:
    assert [one for one in page.console() if not EXPECTED.search(one)] == []


EXPECTED = re.compile(
    r"ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection to .* failed|status of 401"
    r"|auth/setup - .* status of 403"
)
"""What Chromium itself says while growyd is gone, in the one test that kills it, and of a login or a setup code that is
refused."""
