// Puts the page together: state to elements, elements and keys to actions.

import * as api from "./api.js";
import { Editor } from "./editor.js";
import { Frame } from "./frames.js";
import { download, pictureAmong, readPicture, stem } from "./files.js";
import { maskPixels } from "./mask.js";
import { $, readOptions, showCandidates, showFaces, showOffer, showSamples } from "./panel.js";
import { listen } from "./pointer.js";
import { heat, Scene } from "./scene.js";
import { search } from "./search.js";
import { makeTools } from "./tools.js";
import { View } from "./view.js";

const HANDLE = 12;
const POINTER = 5;
const STROKES_APART = 500; // milliseconds
const canvas = $("canvas");
const editor = new Editor();
const view = new View(canvas);
const scene = new Scene(canvas, view, editor);
const tools = makeTools(editor);
let toolName = "brush";
let offer = {}; // what the server can do
let facesAsked = 0;
let looking = 0; // requests for faces under way
let running = null; // an AbortController
let heldCompare = null;
let penDown = false; // by the keyboard

const tool = () => tools[toolName];

// ---- what is shown

function refresh() {
  const { fill, history, picture } = editor;
  const state = !picture ? "empty" : running ? "searching" : fill ? "filled" : "painting";
  document.body.dataset.state = state;
  $("file-name").textContent = picture?.name ?? "";
  $("fill").disabled = Boolean(fill) || !editor.hasHole;
  $("undo").disabled = Boolean(running) || !history.done.length;
  $("redo").disabled = Boolean(running) || !history.undone.length;
  $("save").disabled = Boolean(running) || !editor.savable;
  for (const id of ["clear", "invert", "load-mask", "save-mask"]) {
    $(id).disabled = Boolean(running || fill);
  }
  $("size-value").textContent = picture ? `${Math.round(2 * radius())} px` : "";
  scene.tool = tool();
  scene.searching = Boolean(running);
  scene.frames = shownFrames();
  showFaces(editor, offer, looking > 0);
  showCandidates(fill, (index) => attempt(() => editor.take(index)));
  if (!running) say(hint(state));
  scene.draw();
}

/** Corners of the frames to show. */
function shownFrames() {
  if (!$("show-frames").checked && !(tool().framing && !running)) return [];
  if (!running || !scene.previews) return editor.frames.map(({ corners }) => corners);
  const corners = scene.previews.map((preview) => preview.corners.map(([x, y]) => ({ x, y })));
  return corners.filter((frame) => !isWhole(frame));
}

/** Whether a frame's corners are those of the whole picture, which needs no outline. */
function isWhole([first, , third]) {
  const { width, height } = editor.picture;
  return first.x <= 0 && first.y <= 0 && third.x >= width && third.y >= height;
}

function hint(state) {
  if (state === "painting") {
    if (tool().framing) return "Click one eye of a face, then the other. Drag frames to correct them.";
    if (editor.mask.full) return "Something of the picture must be left: erase a part.";
    if (editor.mask.empty) return "Paint over what is damaged or missing.";
  }
  if (state === "filled") return "Choose a result, or paint the next hole.";
  return "";
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
  $("problem").textContent = text;
  (editor.picture ? $("action") : document.querySelector(".card")).append($("problem"));
}

// ---- opening and saving

async function open(blob, name) {
  if (running || !blob) return;
  await attempt(async () => {
    let picture;
    try {
      picture = await readPicture(blob, name);
    } catch (error) {
      throw error instanceof api.Refusal ? error : new api.Refusal("This is no picture that can be read.");
    }
    editor.open(picture);
    setCompare(0);
    refresh();
    view.show(picture.width, picture.height);
    canvas.focus({ preventScroll: true });
  });
}

/** Look for faces at the hole once it has not changed for a moment. */
async function lookForFaces() {
  const asked = ++facesAsked;
  const { framed, frames, fill, hasHole } = editor;
  if (framed || fill || running || !offer.frames) return;
  if (!hasHole) {
    editor.frames = [];
    if (frames.length) refresh();
    return;
  }
  await new Promise((resolve) => setTimeout(resolve, STROKES_APART));
  // The search looks for itself: here no failure needs to be told.
  if (asked === facesAsked && !running && editor.hasHole) await findFaces().catch(() => {});
}

/** Find the faces at the hole; what is set meanwhile, or another picture, is left alone. */
async function findFaces() {
  const { picture, base, mask, framed } = editor;
  looking++;
  refresh();
  try {
    const hole = await mask.png();
    const found = (await api.frames(base.blob, hole)).map((frame) => new Frame(frame));
    if (editor.picture !== picture || editor.framed !== framed) return;
    if (framed) editor.set({ frames: found, framed: false });
    else editor.frames = found;
  } finally {
    looking--;
    refresh();
  }
}

async function openSample(name, image, mask) {
  await open(image, name);
  await useMask(mask);
}

async function useMask(blob) {
  const { width, height } = editor.picture;
  const bitmap = await createImageBitmap(blob).catch(() => {
    throw new api.Refusal("The mask is no picture that can be read.");
  });
  if (bitmap.width * height !== bitmap.height * width) {
    throw new api.Refusal(
      `The mask has ${bitmap.width}×${bitmap.height} pixels, the picture ${width}×${height}: they must have the same shape.`,
    );
  }
  editor.noteMask(editor.mask.replace(maskPixels(bitmap, width, height)));
}

const save = () =>
  attempt(async () => {
    const { job, index, blob: kept } = editor.savable;
    const query = editor.format ? { format: editor.format } : {};
    const name = stem(editor.picture.name);
    try {
      download(await api.result(job, index, query), `${name}-filled.${editor.format}`);
    } catch (error) {
      if (error.status !== 404) throw error;
      download(kept, `${name}-filled.png`);
      complain("The server has forgotten this result; it was saved as PNG, without its metadata.");
    }
  });

const saveAnimation = () =>
  attempt(async () => {
    const format = $("animation-format").value;
    say("Making the animation…");
    const blob = await api.animation(editor.taken.job, format);
    download(blob, `${stem(editor.picture.name)}-search.${format}`);
    refresh();
  });

// ---- filling

async function fill(seed) {
  if (running || !editor.hasHole) return;
  const more = editor.fill;
  if (more && seed === undefined) return;
  running = new AbortController();
  const options = { ...readOptions(editor), ...(seed === undefined ? {} : { seed: String(seed) }) };
  Object.assign(running, { seed: Number(options.seed), ended: false });
  $("progress").removeAttribute("value");
  const mine = running;
  editor.fill = null;
  refresh();
  await attempt(async () => {
    try {
      const { candidates, info } = await search(editor, options, mine.signal, (event) => {
        if (!mine.ended) progress(event);
      });
      editor.format ??= info.format;
      complain(info.warnings.join(" "));
      editor.fill = more;
      finish(more, candidates, info, mine.seed);
    } finally {
      editor.fill ??= more;
      mine.ended = true;
      running = scene.previews = null;
      refresh();
    }
  });
}

function finish(more, candidates, info, seed) {
  const before = more?.candidates ?? [];
  setCompare(0);
  editor.set({
    fill: {
      candidates: [...before, ...candidates],
      taken: before.length,
      seed,
    },
    ...(editor.framed ? {} : { frames: framesOf(info) }),
  });
}

/** The frames in which a job was filled. */
function framesOf(info) {
  const frames = info.frames.map((frame) => new Frame(frame));
  return frames.filter(({ corners }) => !isWhole(corners));
}

function progress({ state, step, steps, loss, position, previews }) {
  if (state === "sending") say("Sending…");
  if (state === "waiting") say("All places are taken: waiting for one…");
  if (state === "queued") say(position > 1 ? `Waiting: number ${position} in the queue…` : "Starting…");
  if (state === "step") {
    $("progress").max = steps;
    $("progress").value = step;
    say(`Step ${step} of ${steps}, loss ${loss.toFixed(3)}`);
  }
  if (previews) {
    scene.previews = previews;
    refresh();
  }
}

// ---- overlays

let weightsAsked = 0;

async function refreshWeights() {
  const asked = ++weightsAsked;
  if (!$("show-weights").checked || !editor.hasHole) {
    scene.weights = null;
    return scene.draw();
  }
  await new Promise((resolve) => setTimeout(resolve, 150));
  if (asked !== weightsAsked) return;
  await attempt(async () => {
    const map = await heat(await api.weights(await editor.mask.png(1024), $("weighting").value));
    if (asked === weightsAsked) scene.weights = map;
    scene.draw();
  });
}

function setCompare(share) {
  scene.compare = Math.min(Math.max(share, 0), 1);
  $("compare").value = 100 * scene.compare;
  scene.draw();
}

// ---- tools

function choose(name) {
  tool().abandon();
  penDown = false;
  toolName = name;
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === name));
  }
  canvas.dataset.tool = name;
  scene.cursor = null;
  refresh();
}

/**
 * Radius of the brush in pixels of the picture: the slider is logarithmic. The smallest dab covers
 * half of a pixel wherever it falls.
 */
function radius() {
  const largest = Math.max(editor.picture.width, editor.picture.height) / 2;
  return Math.max(0.85, largest ** (Number($("size").value) / 100) / 2);
}

function resize(by) {
  $("size").valueAsNumber += by;
  if (scene.cursor) scene.cursor.radius = radius();
  refresh();
}

const pen = () => ({ radius: radius(), scale: view.scale });
const paints = () => toolName === "brush" || toolName === "eraser";

listen(canvas, view, {
  pans: () => toolName === "hand" || Boolean(running),
  changed: () => scene.draw(),
  down(point) {
    const handle = view.x + editor.picture.width * view.scale * scene.compare;
    heldCompare = editor.fill && scene.compare > 0 && Math.abs(point.x - handle) < HANDLE;
    if (!heldCompare) tool().down(view.toPicture(point), pen());
  },
  move(point) {
    if (heldCompare) setCompare(view.toPicture(point).x / editor.picture.width);
    else tool().move(view.toPicture(point), pen());
  },
  up() {
    if (!heldCompare) tool().up();
    heldCompare = null;
    refresh();
  },
  abandon() {
    if (!heldCompare) tool().abandon();
    heldCompare = null;
  },
  hover(point) {
    scene.cursor =
      point && editor.picture && paints() ? { ...view.toPicture(point), radius: radius() } : null;
  },
});

/** Arrow keys and Enter on the picture. */
function steer(event) {
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const way = ways[event.key];
  if (!way && event.key !== "Enter") return false;
  const { width, height } = editor.picture;
  const size = paints() ? radius() : POINTER / view.scale;
  const here = scene.cursor ?? { x: width / 2, y: height / 2 };
  const stride = event.shiftKey ? 1 : Math.max(1, radius());
  if (way) {
    here.x = Math.min(Math.max(here.x + way[0] * stride, 0), width);
    here.y = Math.min(Math.max(here.y + way[1] * stride, 0), height);
    if (penDown) tool().move({ x: here.x, y: here.y }, pen());
  } else {
    penDown ? tool().up() : tool().down({ x: here.x, y: here.y }, pen());
    penDown = !penDown;
    say(penDown ? "Pen down." : "Pen up.");
  }
  scene.cursor = { x: here.x, y: here.y, radius: size };
  scene.draw();
  return true;
}

// ---- keys and buttons

const TOOL_KEYS = { b: "brush", e: "eraser", r: "rectangle", l: "lasso", f: "faces", h: "hand" };

const KEYS = {
  "[": () => resize(-4),
  "]": () => resize(4),
  i: () => $("invert").click(),
  Delete: () => $("clear").click(),
  0: () => zoom(() => view.fit()),
  1: () => zoom(() => view.zoom(1 / devicePixelRatio / view.scale)),
  "+": () => zoom(() => view.zoom(1.25)),
  "=": () => zoom(() => view.zoom(1.25)),
  "-": () => zoom(() => view.zoom(0.8)),
  c: () => editor.fill && setCompare(1),
};

const COMMANDS = {
  z: (event) => (event.shiftKey ? $("redo") : $("undo")).click(),
  y: () => $("redo").click(),
  o: () => $("file").click(),
  s: () => $("save").click(),
  Enter: () => fill(),
};

function zoom(change) {
  change();
  scene.draw();
}

addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const command = event.ctrlKey || event.metaKey;
  // Where something can be typed, only what is no way of typing is a command.
  const typing = event.target.matches("input[type=number], select");
  if (event.altKey || (typing && (!command || key === "z" || key === "y") && key !== "Escape")) return;
  let action = command ? COMMANDS[key] : KEYS[key];
  if (!action && TOOL_KEYS[key] && !command) {
    const button = document.querySelector(`[data-tool="${TOOL_KEYS[key]}"]`);
    action = () => button.hidden || choose(TOOL_KEYS[key]);
  }
  if (key === "Escape") action = () => (running ? running.abort() : tool().abandon());
  if (!action && event.target === canvas && editor.picture && !running && steer(event)) {
    event.preventDefault();
  }
  const allowed = editor.picture || key === "o";
  if (!action || !allowed || event.repeat && key === "Enter") return;
  event.preventDefault();
  action(event);
  scene.draw();
});
addEventListener("keyup", (event) => event.key === "c" && setCompare(0));

const onClick = (id, action) => $(id).addEventListener("click", action);
for (const button of document.querySelectorAll("[data-tool]")) {
  button.addEventListener("click", () => choose(button.dataset.tool));
}
onClick("open", () => $("file").click());
onClick("open-big", () => $("file").click());
onClick("save", save);
onClick("save-animation", saveAnimation);
onClick("undo", () => editor.undo());
onClick("redo", () => editor.redo());
onClick("zoom-in", KEYS["+"]);
onClick("zoom-out", KEYS["-"]);
onClick("zoom-fit", KEYS[0]);
onClick("fill", () => fill());
onClick("more", () => fill(editor.fill.seed + 1));
onClick("edit", () => editor.set({ fill: null }));
onClick("cancel", () => running?.abort());
onClick("clear", () => editor.noteMask(editor.mask.clear()));
onClick("invert", () => editor.noteMask(editor.mask.invert()));
onClick("find-faces", () => attempt(findFaces));
onClick("load-mask", () => $("mask-file").click());
onClick("save-mask", async () =>
  download(await editor.mask.png(), `${stem(editor.picture.name)}-mask.png`),
);
onClick("theme", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  theme(dark ? "light" : "dark");
});

const onInput = (id, action) => $(id).addEventListener("input", action);
onInput("size", () => resize(0));
onInput("compare", () => setCompare(Number($("compare").value) / 100));
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

for (const [id, use] of [["file", open], ["mask-file", (file) => attempt(() => useMask(file))]]) {
  $(id).addEventListener("change", () => {
    if ($(id).files[0]) use($(id).files[0]);
    $(id).value = "";
  });
}

addEventListener("paste", (event) => open(pictureAmong(event.clipboardData)));
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
  if (file) open(file);
  else complain("This is no picture that can be read.");
});
addEventListener("beforeunload", (event) => {
  if (editor.savable || editor.history.done.length) event.preventDefault();
});

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("theme", name);
  scene.draw();
}

if (localStorage.getItem("theme")) theme(localStorage.getItem("theme"));
editor.addEventListener("change", () => {
  refresh();
  refreshWeights();
  lookForFaces();
});
new ResizeObserver(() => {
  view.resized();
  scene.paint();
}).observe(canvas);
choose("brush");
attempt(async () => {
  offer = await api.models();
  showOffer(offer);
  await showSamples((...sample) => attempt(() => openSample(...sample)));
});
