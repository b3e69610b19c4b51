// Mouse, pen, fingers and wheel: one pointer works, two fingers or the space bar move the view.

const ERASERS = [2, 5]; // the right button, and the other end of a pen
const GESTURE = 200; // milliseconds without a turn of the wheel after which a new gesture begins
const TRACKPAD = 50; // pixels that a mouse's wheel turns at least

/**
 * `actions`: down(point, erase), move(point), up(), abandon(), hover(point or null), pans() and
 * changed(); points are CSS pixels on the canvas.
 */
export function listen(canvas, view, actions) {
  const fingers = new Map();
  let mode = null; // null, "work", "pan" or "pinch"
  let space = false;
  let pen = false;

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener("pointerdown", (event) => {
    const erase = ERASERS.includes(event.button);
    if (event.button > 1 && !erase) return;
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    pen ||= event.pointerType === "pen";
    // A hand that rests on the tablet must not paint.
    const palm = pen && event.pointerType === "touch";
    if (fingers.size > 1) {
      if (mode === "work") actions.abandon();
      mode = "pinch";
    } else if (space || palm || event.button === 1 || actions.pans()) {
      mode = "pan";
    } else {
      mode = "work";
      actions.down(at(event), erase);
    }
    actions.changed();
  });

  canvas.addEventListener("pointermove", (event) => {
    const point = at(event);
    if (event.pointerType !== "touch") actions.hover(point);
    const before = fingers.get(event.pointerId);
    if (!before) return actions.changed();
    if (mode === "pan") view.pan(point.x - before.x, point.y - before.y);
    else if (mode === "pinch") pinch(event.pointerId, before, point);
    else if (mode === "work") {
      const passed = event.getCoalescedEvents?.() ?? [];
      for (const one of passed.length ? passed : [event]) actions.move(at(one));
    }
    fingers.set(event.pointerId, point);
    actions.changed();
  });

  /** The point between the fingers stays between them; their distance is the zoom. */
  function pinch(moved, before, after) {
    const other = [...fingers].find(([id]) => id !== moved)?.[1];
    if (!other) return;
    const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
    const [from, to] = [middle(before, other), middle(after, other)];
    const distance = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    view.pan(to.x - from.x, to.y - from.y);
    view.zoom(distance(after, other) / distance(before, other), to.x, to.y);
  }

  const lift = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (mode === "work") event.type === "pointerup" ? actions.up() : actions.abandon();
    if (mode === "work" || !fingers.size) mode = null;
    actions.changed();
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => {
    actions.hover(null);
    actions.changed();
  });

  // The right button erases: no menu in its way.
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());

  let turned = { time: -Infinity, pans: false };
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const begins = event.timeStamp - turned.time > GESTURE;
      turned = { time: event.timeStamp, pans: begins ? isTrackpad(event) : turned.pans };
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      if (turned.pans && !event.ctrlKey) {
        view.pan(-event.deltaX * unit, -event.deltaY * unit);
      } else {
        const speed = event.ctrlKey ? 0.01 : 0.0015;
        const { x, y } = at(event);
        view.zoom(Math.exp(-event.deltaY * unit * speed), x, y);
      }
      actions.changed();
    },
    { passive: false },
  );

  addEventListener("keydown", (event) => {
    if (event.code !== "Space" || event.target.closest("button, input, select, summary")) return;
    event.preventDefault();
    space = true;
    canvas.dataset.pan = "";
  });
  addEventListener("keyup", (event) => {
    if (event.code !== "Space") return;
    space = false;
    delete canvas.dataset.pan;
  });
}

/**
 * Whether two fingers on a trackpad turned the "wheel": they move sideways too, and by little at
 * once. A mouse's wheel turns by whole notches, up or down.
 */
function isTrackpad({ deltaMode, deltaX, deltaY }) {
  if (deltaMode !== WheelEvent.DOM_DELTA_PIXEL) return false;
  return deltaX !== 0 || Math.abs(deltaY) < TRACKPAD || !Number.isInteger(deltaY);
}
