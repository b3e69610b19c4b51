// A toolbar is one stop of the Tab key; the arrow keys move within it.

const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

export function makeToolbar(element) {
  const buttons = () =>
    [...element.querySelectorAll("button")].filter((button) => !button.disabled && button.offsetParent);

  /** Exactly one button can be reached by Tab. */
  function settle(wanted = document.activeElement) {
    const usable = buttons();
    const pressed = usable.find((button) => button.getAttribute("aria-pressed") === "true");
    const stop = usable.includes(wanted) ? wanted : (pressed ?? usable[0]);
    for (const button of element.querySelectorAll("button")) button.tabIndex = button === stop ? 0 : -1;
  }

  element.addEventListener("focusin", (event) => settle(event.target));
  element.addEventListener("keydown", (event) => {
    const usable = buttons();
    const ends = { Home: 0, End: usable.length - 1 };
    const here = usable.indexOf(document.activeElement);
    const there = ends[event.key] ?? (here + STEPS[event.key] + usable.length) % usable.length;
    if (here < 0 || Number.isNaN(there)) return;
    event.preventDefault();
    event.stopPropagation();
    usable[there].focus();
  });
  return settle;
}
