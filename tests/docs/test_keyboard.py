"""The site without a mouse: Tab goes through all of it in order, one sees where one is, and what is folded unfolds."""

import pytest

from tests.proofs.keys import BROWSER, DRIVER, ENTER, SPACE, TAB, browser, check_walk, press, resize, walk

pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("furo")
pytestmark = [
    pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="needs chromium and chromedriver"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def driver():
    driver = browser()
    yield driver
    driver.quit()


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("page", ["index.html", "lecture/exercises.html"])
def test_tab_reaches_everything_in_order_and_is_seen_everywhere(site, driver, page, width):
    resize(driver, width)
    driver.get((site / page).as_uri())
    reachable, steps = walk(driver)
    check_walk(reachable, steps)
    names = [name for _, name, _, _ in steps]
    texts = [text for *_, text in steps]
    assert texts.index("Skip to content") <= 2
    if width > 1000:
        search = next(i for i, name in enumerate(names) if "sidebar-search" in name)
        side = next(i for i, text in enumerate(texts) if text.startswith("Ten minutes"))
        assert search < side < next(i for i, name in enumerate(names) if "next-page" in name)
    if "exercises" in page:
        assert texts.count("Solution") >= 6


def test_the_search_box_is_reached_and_asks(site, driver):
    resize(driver, 1400)
    driver.get((site / "index.html").as_uri())
    while "sidebar-search" not in driver.execute_script("return document.activeElement.className"):
        press(driver, TAB)
    from selenium.webdriver.support.expected_conditions import url_contains
    from selenium.webdriver.support.wait import WebDriverWait

    press(driver, "antithetic" + ENTER)
    WebDriverWait(driver, 60).until(url_contains("search.html?q=antithetic"))  # the page is loaded after the key


def test_a_solution_and_a_part_of_the_sidebar_unfold_by_keys(site, driver):
    resize(driver, 1400)
    driver.get((site / "lecture" / "exercises.html").as_uri())
    before, _ = walk(driver)
    while driver.execute_script("return document.activeElement.innerText") != "Solution":
        press(driver, TAB)
    press(driver, ENTER)
    assert driver.execute_script("return document.activeElement.parentElement.open")
    while "toctree-checkbox" not in driver.execute_script("return document.activeElement.className"):
        press(driver, TAB)
    shown = "return getComputedStyle(document.activeElement.parentElement.querySelector('ul')).display"
    for display in ("none", "block"):  # the part that this page is of is unfolded at first
        assert driver.execute_script(shown) != display
        press(driver, SPACE)
        assert driver.execute_script(shown) == display
    after, steps = walk(driver)
    check_walk(after, steps)
    assert after == before


def test_on_a_phone_the_menu_unfolds_by_keys(site, driver):
    resize(driver, 390)
    driver.get((site / "index.html").as_uri())
    folded, _ = walk(driver)
    while driver.execute_script("return document.activeElement.id") != "__navigation":
        press(driver, TAB)
    press(driver, SPACE)
    driver.execute_async_script("setTimeout(arguments[0], 400)")  # it slides in
    unfolded, steps = walk(driver)
    check_walk(unfolded, steps)
    assert len(unfolded) > len(folded) + 10


@pytest.mark.parametrize(
    "fault",
    [
        '<a href="#">one</a><a href="#" style="outline: none">two</a>',
        '<a href="#">one</a><a href="#" tabindex="1">two</a>',
        '<input onkeydown="event.preventDefault()"><a href="#">never</a>',
        '<a href="#">one</a><a href="#" style="position: fixed; left: -500px">two</a>',
    ],
    ids=("unseen", "out of order", "trap", "off the screen"),
)
def test_a_fault_is_noticed(driver, tmp_path, fault):
    page, around = tmp_path / "page.html", '<!doctype html><a href="#">first</a>{}<a href="#">last</a>'
    for middle in ('<a href="#">one</a><details><summary>two</summary></details>', fault):
        page.write_text(around.format(middle))
        driver.get(page.as_uri())
        walked = walk(driver)
        if middle != fault:
            check_walk(*walked)
    with pytest.raises(AssertionError):
        check_walk(*walked)
