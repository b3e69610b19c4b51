// The panel of the tool that extends the canvas: numbers for its sides, and usual shapes.

import { bounded, isNone, NONE, shaped, SIDES, widened } from "./extension.js";
import { $ } from "./panel.js";

const WAYS = { ArrowLeft: "left", ArrowUp: "top", ArrowRight: "right", ArrowDown: "bottom" };
const STEP = 50; // parts of the picture by which an arrow key moves a border

export function makeExtending(app) {
  const { editor } = app;
  const input = (side) => $(`extend-${side}`);
  /** What is extended: a fill that is shown, as it is, or the picture. */
  const picture = () => (editor.fill ? editor : editor.base);
  const present = () => (editor.fill ? NONE : editor.extension);
  const within = (wanted, changed) => bounded(wanted, picture(), app.offer.max_pixels, changed);

  /** Extend the canvas; a fill that is shown becomes the picture. */
  function extend(wanted, changed) {
    const before = present();
    const extension = within({ ...before, ...wanted }, changed);
    if (app.running || SIDES.every((side) => extension[side] === before[side])) return refresh();
    if (editor.fill) editor.keepFill();
    editor.extend(extension);
  }

  /** Show what is so, or what it will be when the border that is dragged is let go. */
  function refresh(extension = present()) {
    if (!editor.picture) return;
    for (const side of SIDES) {
      const across = side === "left" || side === "right";
      input(side).max = across ? picture().width : picture().height;
      if (input(side) !== document.activeElement) input(side).value = extension[side];
    }
    const { width, height } = widened(picture(), extension);
    $("extend-size").textContent = `${width} × ${height} pixels`;
    $("extend-none").disabled = Boolean(app.running) || isNone(extension);
  }

  /** Arrow keys on the picture: outwards, with Shift back; returns whether the key was one of them. */
  function steer(event) {
    const side = WAYS[event.key];
    if (!side) return false;
    const step = Math.max(1, Math.round(Math.max(editor.base.width, editor.base.height) / STEP));
    extend({ [side]: present()[side] + (event.shiftKey ? -step : step) }, [side]);
    const pixels = present()[side];
    app.say(`${input(side).labels[0].textContent.trim()}: ${pixels} ${pixels === 1 ? "pixel" : "pixels"}.`);
    return true;
  }

  for (const side of SIDES) {
    input(side).addEventListener("change", () => {
      extend({ [side]: Number(input(side).value) }, [side]);
      input(side).value = present()[side];
    });
  }
  for (const button of document.querySelectorAll("[data-shape]")) {
    const [across, down] = button.dataset.shape.split(":").map(Number);
    button.addEventListener("click", () => extend(shaped(picture(), across / down)));
  }
  $("extend-none").addEventListener("click", () => extend(NONE));
  return { extend, present, within, refresh, steer };
}
