"""The page in a browser: it sorts and folds, by mouse and keys, without an error in the console or a request."""

import json
import shutil

import pytest

from rllab.report import write_report
from tests.proofs.keys import ENTER, TAB, check_walk, walk
from tests.proofs.keys import press as press_key
from tests.report.pages import EVIL, make_results

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytest.importorskip("jinja2", reason="the extra `report` is not installed")
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="needs chromium and chromedriver"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    page = write_report(make_results(folder / "results"), folder / "report.html", threshold=lambda record: 27.0)
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--window-size=1200,900",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.get(page.as_uri())
        yield driver
    finally:
        driver.quit()


def column(browser, number):
    script = (
        "return [...document.querySelectorAll('table')[0].tBodies[0].rows].map(r => r.cells[arguments[0]].innerText)"
    )
    return browser.execute_script(script, number)


def press(browser, selector, number=0, *, by_key=False):
    button = browser.find_elements("css selector", selector)[number]
    browser.execute_script("arguments[0].scrollIntoView()", button)
    button.send_keys("\ue007") if by_key else browser.execute_script("arguments[0].click()", button)


def test_a_click_sorts_by_numbers_and_another_turns_it_round(browser):
    heads = browser.execute_script(
        "return [...document.querySelectorAll('table')[0].tHead.rows[0].cells].map(c => c.innerText)"
    )
    where = next(i for i, head in enumerate(heads) if head.startswith("IQM"))
    press(browser, "table thead button", where)
    up = [float(text) for text in column(browser, where)]
    press(browser, "table thead button", where, by_key=True)
    down = [float(text) for text in column(browser, where)]
    assert up == sorted(up) and down == up[::-1] and len(set(up)) == 2
    assert column(browser, 0)[0] == EVIL  # the best, shown as text
    sorts = (
        "return [...document.querySelectorAll('table')[0].querySelectorAll('th')].map(t => t.getAttribute('aria-sort'))"
    )
    assert [s for s in browser.execute_script(sorts) if s] == ["descending"]


def test_everything_folds_and_unfolds(browser):
    count = "return document.querySelectorAll('details.section[open]').length"
    assert browser.execute_script(count) == 2
    press(browser, "#fold", by_key=True)
    assert browser.execute_script(count) == 0
    assert browser.find_element("id", "fold").get_attribute("aria-pressed") == "true"
    press(browser, "nav a")
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert browser.execute_script(count) == 1
    press(browser, "#fold")
    assert browser.execute_script(count) == 2


def test_tab_goes_through_all_of_it_in_order_and_is_seen_everywhere(browser):
    reachable, steps = walk(browser)
    check_walk(reachable, steps)
    texts = [text for *_, text in steps]
    assert texts.index("Fold all") < texts.index(next(text for text in texts if text.startswith("IQM")))
    press_key(browser, TAB)
    while "IQM" not in browser.execute_script("return document.activeElement.innerText"):
        press_key(browser, TAB)
    before = column(browser, 0)
    press_key(browser, ENTER), press_key(browser, ENTER)
    assert sorted(column(browser, 0)) == sorted(before)
    browser.execute_script("document.activeElement.blur()")


def test_it_is_no_wider_than_a_phone(browser):
    for width in (360, 1200):
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_it_is_dark_where_the_reader_wants_it(browser):
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(colour)
    wanted = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    dark = browser.execute_script(colour)
    assert light == "rgb(255, 255, 255)" and max(map(int, dark[4:-1].split(","))) < 60


def test_the_console_is_silent_and_nothing_was_asked_for(browser):
    assert browser.get_log("browser") == []
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    assert len(urls) == 1 and urls[0].startswith("file:")
