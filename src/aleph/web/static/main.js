// Puts the page together: state to elements, elements and keys to actions.

import * as api from "./api.js";
import { makeBrush } from "./brush.js";
import { DamageFinder } from "./damage.js";
import { Editor } from "./editor.js";
import { makeExtending } from "./extending.js";
import { FaceFinder, facesNote } from "./faces.js";
import { pictureAmong } from "./files.js";
import { makeFilling } from "./filling.js";
import { listenToKeys } from "./keys.js";
import { makeOpening } from "./opening.js";
import { rememberOptions, showOffer } from "./options.js";
import { $, fillNote, showCandidates } from "./panel.js";
import { listen } from "./pointer.js";
import { makeSaving } from "./saving.js";
import { Scene } from "./scene.js";
import { Session } from "./session.js";
import { markFolder, showFolder, showLeft, showSamples } from "./start.js";
import { makeToolbar } from "./toolbar.js";
import { makeTools } from "./tools.js";
import { View } from "./view.js";
import { makeWeights } from "./weights.js";

const HANDLE = 12; // CSS pixels within which the border between before and after is held
const TITLE = document.title;
const STEP = 300; // parts of the picture by which the selection grows
const ROOM = 0.3; // left around the picture while it is extended, in its own sides

const canvas = $("canvas");
const editor = new Editor();
const view = new View(canvas);
const scene = new Scene(canvas, view, editor);
const faces = new FaceFinder(editor);
const damage = new DamageFinder(editor);
let toolName = "brush";
let toolBefore = "brush"; // the comparison of a result
let heldCompare = null;
let keptCompare = null; // while C is held

/** What the parts of the page share. */
const app = {
  editor, view, scene, refresh, say, complain, attempt, setCompare, isWhole, moveFocus,
  tool: () => tools[toolName],
  offer: { max_pixels: Infinity, max_upload_bytes: Infinity },
  session: new Session(editor),
  running: null, // an AbortController, with the seed of what is worked out
  sized: () => toolName === "brush" || toolName === "eraser",
  begun() {
    complain("");
    faces.cancel();
    damage.cancel();
    $("progress").removeAttribute("value");
  },
  opened: () => choose(tools[toolName].paints ? toolName : "brush"),
  focusPicture: () => canvas.focus({ preventScroll: true }),
};
const extending = makeExtending(app);
const tools = makeTools(editor, setCompare, extending);
const brush = makeBrush(app);
const saving = makeSaving(app);
const opening = makeOpening(app, saving.save);
const filling = makeFilling(app);
const refreshWeights = makeWeights(app);
const settleTools = makeToolbar($("tools"));

// ---- what is shown

function refresh() {
  const { fill, history, picture } = editor;
  const { running } = app;
  const state = !picture ? "empty" : running ? "searching" : fill ? "filled" : "painting";
  const entered = document.body.dataset.state !== state;
  document.body.dataset.state = state;
  document.body.toggleAttribute("data-paints", app.sized());
  document.body.toggleAttribute("data-extends", Boolean(app.tool().extending));
  if (picture) view.become(editor.width, editor.height, editor.origin);
  extending.refresh();
  $("file-name").textContent = $("file-name").title = picture?.name ?? "";
  document.title = picture ? `${picture.name} – aleph` : TITLE;
  $("fill").disabled = Boolean(fill || editor.refused) || !editor.hasHole;
  $("undo").disabled = Boolean(running) || !history.done.length;
  $("redo").disabled = Boolean(running) || !history.undone.length;
  $("save").disabled = $("copy").disabled = Boolean(running) || !editor.savable;
  for (const id of ["grow", "shrink", "find-faces"]) $(id).disabled = !editor.hasHole;
  $("size-value").textContent = picture ? `${Math.round(2 * brush.radius())} px` : "";
  $("file-note").textContent = state === "painting" ? editor.remarks.join(" ") : "";
  $("sensitivity-row").hidden = !damage.ready;
  if (damage.running) replace("find-damage", "looking", "stop-looking");
  else replace("looking", "find-damage", "find-damage");
  if ($("damage-note").textContent !== damage.note) $("damage-note").textContent = damage.note;
  $("faces-note").textContent = facesNote(editor, faces.state, app.offer.frames);
  $("share").textContent = fillNote(fill);
  scene.tool = app.tool();
  scene.searching = Boolean(running);
  scene.frames = shownFrames();
  showCandidates(fill, (index) => attempt(() => editor.take(index)));
  if (entered) enter(state);
  if (!running) say(hint(state));
  settleTools();
  scene.draw();
}

/** A result is compared first; afterwards the tool before is taken up again. */
function enter(state) {
  if (state === "filled" && toolName !== "compare") {
    toolBefore = toolName;
    choose("compare");
  } else if (state === "painting" && toolName === "compare") {
    choose(toolBefore);
  }
}

/** Corners of the frames to show. */
function shownFrames() {
  const { running } = app;
  if (!$("show-frames").checked && !(app.tool().framing && !running)) return [];
  if (!running || !scene.previews) return editor.frames.map(({ corners }) => corners);
  const corners = scene.previews.map((preview) => preview.corners.map(([x, y]) => ({ x, y })));
  return corners.filter((frame) => !isWhole(frame));
}

/** Whether a frame's corners are those of the whole picture, which needs no outline. */
function isWhole([first, , third]) {
  const { width, height } = editor;
  return first.x <= 0 && first.y <= 0 && third.x >= width && third.y >= height;
}

function hint(state) {
  const { mask } = editor;
  if (state === "painting" && mask.full) return "Something of the picture must be left: erase a part.";
  if (state !== "searching" && app.tool().extending) {
    const extended = state === "painting" && mask.beyond;
    return extended ? "What is marked will be filled." : "Drag a border of the photo outwards.";
  }
  if (state === "painting") {
    if (app.tool().framing) return "Click one eye of a face, then the other. Drag frames to correct them.";
    if (mask.empty) return "Paint over what is damaged or missing, or let damage be found.";
    return `${selected()} of the picture is selected. Fill it, or correct it first.`;
  }
  if (state === "filled") {
    if (toolName === "compare") return "Drag on the picture to compare. The brush begins the next selection.";
    return "Choose a result, or paint what is to be mended next.";
  }
  return "";
}

/** How much is selected, in words. */
function selected() {
  const percent = (100 * editor.mask.count) / (editor.width * editor.height);
  if (percent < 0.1) return "Less than 0.1 %";
  return `${percent < 10 ? Math.round(10 * percent) / 10 : Math.round(percent)} %`;
}

function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

/** Work; what goes wrong is told in the panel. */
async function attempt(work) {
  complain("");
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") complain(error.message);
    if (!(error instanceof api.Refusal) && error.name !== "AbortError") console.error(error);
  }
}

function complain(text) {
  $("problem").textContent = text || (editor.refused ?? "");
  $(editor.picture ? "status" : "open-big").after($("problem"));
}

/** Where what has the focus has vanished, it moves on to what took its place. */
function moveFocus(to) {
  const active = document.activeElement;
  if (active !== document.body && !active.offsetParent) document.querySelector(to)?.focus();
}

/** Show one element in another's place; the focus goes along, to `button`. */
function replace(gone, come, button) {
  const held = $(gone).contains(document.activeElement);
  $(come).hidden = false;
  if (held) $(button).focus();
  $(gone).hidden = true;
}

function setCompare(share) {
  scene.compare = Math.min(Math.max(share, 0), 1);
  $("compare").value = 100 * scene.compare;
  scene.draw();
}

// ---- tools

function choose(name) {
  app.tool().abandon();
  brush.lift();
  toolName = name;
  for (const button of document.querySelectorAll("button[data-tool]")) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === name));
  }
  canvas.dataset.tool = name;
  scene.cursor = null;
  canvas.style.cursor = "";
  view.spare(app.tool().extending ? ROOM : 0);
  refresh();
}

listen(canvas, view, {
  pans: () => toolName === "hand" || Boolean(app.running),
  changed: () => scene.draw(),
  down(point, erase) {
    const handle = view.x + editor.width * view.scale * scene.compare;
    heldCompare = editor.fill && scene.compare < 1 && Math.abs(point.x - handle) < HANDLE;
    if (!heldCompare) app.tool().down(view.toPicture(point), brush.pen(erase));
  },
  move(point) {
    if (heldCompare) setCompare(view.toPicture(point).x / editor.width);
    else app.tool().move(view.toPicture(point), brush.pen());
  },
  up() {
    if (!heldCompare) app.tool().up();
    heldCompare = null;
    refresh();
  },
  abandon() {
    if (!heldCompare) app.tool().abandon();
    heldCompare = null;
  },
  hover(point) {
    const shown = point && editor.picture && app.sized();
    if (point && editor.picture && app.tool().cursor) {
      canvas.style.cursor = app.running ? "" : app.tool().cursor(view.toPicture(point), view.scale);
    }
    scene.cursor = shown ? { ...view.toPicture(point), radius: brush.radius() } : null;
  },
});

function reshape(way) {
  if (!editor.hasHole || editor.fill || app.running) return;
  const { width, height } = editor;
  editor.noteMask(editor.mask[way](Math.max(1, Math.round(Math.max(width, height) / STEP))));
}

const sensitivity = () => Number($("sensitivity").value) / 100;

function stopLooking() {
  damage.cancel();
  editor.changed();
}

// ---- keys and buttons

function zoom(change) {
  change();
  scene.draw();
}

const keys = {
  "[": () => brush.resize(-4),
  "]": () => brush.resize(4),
  i: () => $("invert").click(),
  g: () => reshape("grow"),
  s: () => reshape("shrink"),
  Delete: () => $("clear").click(),
  0: () => zoom(() => view.fit()),
  1: () => zoom(() => view.zoom(1 / devicePixelRatio / view.scale)),
  "+": () => zoom(() => view.zoom(1.25)),
  "=": () => zoom(() => view.zoom(1.25)),
  "-": () => zoom(() => view.zoom(0.8)),
  c(event) {
    if (!editor.fill || event.repeat) return;
    keptCompare = scene.compare;
    setCompare(0);
  },
};

listenToKeys({
  keys,
  commands: {
    z: (event) => (event.shiftKey ? $("redo") : $("undo")).click(),
    y: () => $("redo").click(),
    o: () => $("file").click(),
    s: () => $("save").click(),
    C: () => $("copy").click(),
    Enter: () => filling.fill(),
  },
  choose,
  escape() {
    if (app.running) app.running.abort();
    else if (damage.running) stopLooking();
    else app.tool().abandon();
  },
  steer: (event) =>
    event.target === canvas && editor.picture && !app.running && (app.tool().extending ?? brush).steer(event),
  ready: () => Boolean(editor.picture),
  released(key) {
    if (key === "c" && keptCompare !== null) setCompare(keptCompare);
    if (key === "c") keptCompare = null;
  },
});

const onClick = (id, action) => $(id).addEventListener("click", action);
/** A change of the selection, where one may be made. */
const onMask = (id, action) => onClick(id, () => editor.fill || app.running || action());
for (const button of document.querySelectorAll("button[data-tool]")) {
  button.addEventListener("click", () => choose(button.dataset.tool));
}
onClick("open", () => $("file").click());
onClick("open-big", () => $("file").click());
onClick("save", saving.save);
onClick("copy", saving.copy);
onClick("save-animation", saving.saveAnimation);
onClick("save-mask", saving.saveMask);
onClick("undo", () => editor.undo());
onClick("redo", () => editor.redo());
onClick("zoom-in", keys["+"]);
onClick("zoom-out", keys["-"]);
onClick("zoom-fit", keys[0]);
onClick("fill", filling.fill);
onClick("more", filling.more);
onClick("edit", () => editor.set({ fill: null }));
onClick("cancel", () => app.running?.abort());
onMask("clear", () => editor.noteMask(editor.mask.clear()));
onMask("invert", () => editor.noteMask(editor.mask.invert()));
onMask("grow", () => reshape("grow"));
onMask("shrink", () => reshape("shrink"));
onMask("load-mask", () => $("mask-file").click());
onClick("find-damage", () => attempt(() => damage.find(sensitivity())));
onClick("stop-looking", stopLooking);
onClick("find-faces", () => attempt(() => faces.look()));
onClick("theme", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  theme(dark ? "light" : "dark");
});

const onInput = (id, action) => $(id).addEventListener("input", action);
onInput("size", () => brush.resize(0));
onInput("compare", () => setCompare(Number($("compare").value) / 100));
let selecting = null; // on large photos the slider is faster than the selection
onInput("sensitivity", () => {
  selecting ??= requestAnimationFrame(() => {
    selecting = null;
    damage.select(sensitivity());
  });
});
onInput("show-weights", refreshWeights);
onInput("weighting", refreshWeights);
onInput("show-frames", refresh);
$("candidates").addEventListener("keydown", (event) => {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const count = editor.fill.candidates.length;
  attempt(() => editor.take((editor.fill.taken + by + count) % count));
});

const chosen = { file: opening.open, "mask-file": (file) => attempt(() => opening.useMask(file)) };
for (const [id, use] of Object.entries(chosen)) {
  $(id).addEventListener("change", () => {
    if ($(id).files[0]) use($(id).files[0]);
    $(id).value = "";
  });
}

addEventListener("paste", (event) => opening.open(pictureAmong(event.clipboardData)));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  const file = pictureAmong(event.dataTransfer);
  if (file) opening.open(file);
  else complain("This is no picture that can be read.");
});
// What is kept already is there again after a reload: nobody needs to be asked.
addEventListener("beforeunload", (event) => {
  if (editor.unsaved && app.session.pending) event.preventDefault();
});

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("theme", name);
  scene.draw();
}

if (localStorage.getItem("theme")) theme(localStorage.getItem("theme"));
faces.addEventListener("change", refresh);
editor.addEventListener("change", () => {
  faces.changed(!editor.fill && !app.running && app.offer.frames);
  damage.changed();
  refresh();
  refreshWeights();
  markFolder(editor.picture?.name);
});
new ResizeObserver(() => {
  view.resized();
  scene.paint();
}).observe(canvas);

async function resumed(resume) {
  await attempt(resume);
  if (editor.picture) view.show(editor.width, editor.height);
  refresh();
}

async function start() {
  rememberOptions();
  choose("brush");
  await resumed(() => app.session.resume());
  await showLeft(app.session, (id) => resumed(() => app.session.adopt(id)));
  await attempt(async () => {
    app.offer = await api.models();
    showOffer(app.offer);
    editor.changed();
    if (app.offer.photos) await showFolder(opening.openListed);
    await showSamples(opening.openSample);
  });
}

start();
