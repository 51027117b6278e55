"""Walk a page by the key Tab, as a reader without a mouse does, and tell what has the focus on the way."""

import shutil

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
TAB, ENTER, SPACE = "\ue004", "\ue007", " "
# what keys can reach, in the order of the document: of a drawer that is folded away, or of folded details, nothing
REACHABLE = """
return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter(e =>
  e.tabIndex >= 0 && !e.disabled && e.checkVisibility({visibilityProperty: true})).map(e => {
  e.dataset.walk ??= String(window.walked = (window.walked ?? 0) + 1); return e.dataset.walk;});
"""
BEGIN = """
document.head.append(Object.assign(document.createElement('style'),
  {textContent: '* { transition: none !important; scroll-behavior: auto !important }'}));
const first = Object.assign(document.createElement('span'), {tabIndex: -1});  // the next Tab begins where this one was
document.body.prepend(first); first.focus(); first.remove();
"""
FOCUSED = """
const e = document.activeElement;
if (!e || e === document.body || e === document.documentElement) return null;
const looks = [e, ...(e.labels ?? []), ...document.querySelectorAll('label[for="' + e.id + '"]')];
const ringed = looks.some(x => {
  const s = getComputedStyle(x), r = x.getBoundingClientRect();
  return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1 && r.width > 0 && r.height > 0
    && (x !== e || s.opacity !== '0') && r.bottom > 0 && r.right > 0 && r.top < innerHeight && r.left < innerWidth;});
e.dataset.walk ??= 'scrolls ' + (window.walked = (window.walked ?? 0) + 1);  // what scrolls
return [e.dataset.walk, e.tagName.toLowerCase() + '.' + e.className + '#' + e.id, ringed, e.innerText ?? ''];
"""


def browser(width=1200, height=900):
    """Return a browser without a window."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    resize(driver, width, height)
    return driver


def resize(driver, width, height=900):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def press(driver, keys):
    from selenium.webdriver import ActionChains

    ActionChains(driver, duration=0).send_keys(keys).perform()


def walk(driver, most=2_000):
    """Press Tab until the focus leaves the page; return what could be reached, and what was, in order."""
    driver.execute_script(BEGIN)
    reachable = driver.execute_script(REACHABLE)
    steps = []
    for _ in range(most):
        press(driver, TAB)
        focused = driver.execute_script(FOCUSED)
        if focused is None or focused[0] in {step[0] for step in steps}:
            return reachable, steps
        steps.append(focused)
    raise AssertionError(f"the focus does not leave the page: {steps[-5:]}")


def check_walk(reachable, steps):
    """Assert that everything is reached once, in the order of the page, and seen where it has the focus."""
    assert [step[0] for step in steps if not step[0].startswith("scrolls")] == reachable
    assert [step[1:] for step in steps if not step[2]] == []
