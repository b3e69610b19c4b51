// The options, the samples, the results: what is listed on the page.

import * as api from "./api.js";
import { Frame } from "./frames.js";

const EFFORTS = {
  fast: "Fast",
  balanced: "Balanced",
  thorough: "Thorough",
  yeh2017: "As published (Yeh et al. 2017)",
};

export const $ = (id) => document.getElementById(id);

/** List what the server offers. */
export function showOffer(offer) {
  const option = (value, text = value, chosen = false) => new Option(text, value, chosen, chosen);
  $("model").replaceChildren(
    ...offer.models.map(({ name, resolution, default: chosen }) =>
      option(name, `${name} (${resolution} pixels)`, chosen),
    ),
  );
  $("preset").replaceChildren(
    ...offer.presets.map((name) => option(name, EFFORTS[name] ?? name, name === "balanced")),
  );
  $("weighting").append(...offer.weightings.map((name) => option(name, name.replace("-", " "))));
  $("count").max = offer.max_candidates;
  $("find-faces").hidden = !offer.frames;
  Frame.eyes = offer.frame_eyes;
}

/** The options as the API takes them. */
export function readOptions(editor) {
  const options = {
    model: $("model").value,
    preset: $("preset").value,
    weighting: $("weighting").value,
    candidates: String(clamped($("count"))),
    seed: String(clamped($("seed"))),
  };
  if (!editor.framed) return options;
  const numbers = ({ eyes }) => eyes.flatMap(({ x, y }) => [x.toFixed(2), y.toFixed(2)]);
  return { ...options, eyes: editor.frames.map((frame) => numbers(frame).join(",")) };
}

function clamped(input) {
  const value = Math.round(Number(input.value)) || 0;
  input.value = Math.min(Math.max(value, Number(input.min)), Number(input.max));
  return input.value;
}

/** Say how many faces are known, and how they came to be known. */
export function showFaces(editor, offer, looking) {
  $("find-faces").disabled = looking || !editor.hasHole;
  $("faces-note").textContent = facesNote(editor, offer, looking);
}

function facesNote({ frames, framed, hasHole }, offer, looking) {
  if (looking) return "Looking for faces…";
  const count = frames.length === 1 ? "1 face" : `${frames.length || "No"} faces`;
  if (framed && frames.length) return `${count} marked: the model looks only there.`;
  const help = "Click two eyes to mark one (F).";
  if (!offer.frames) return help;
  return hasHole ? `${count} found at the hole. ${help}` : `Faces at the hole will be found. ${help}`;
}

/** Offer the samples; `open` gets the picture and the mask of the chosen one. */
export async function showSamples(open) {
  for (const { name, title, credit } of await api.samples()) {
    const button = document.createElement("button");
    const canvas = document.createElement("canvas");
    button.type = "button";
    button.title = credit;
    button.append(canvas, title);
    $("samples").append(button);
    const parts = Promise.all([api.samplePart(name, "image"), api.samplePart(name, "mask")]);
    button.addEventListener("click", async () => open(`${name}.png`, ...(await parts)));
    drawSample(canvas, ...(await parts));
  }
}

async function drawSample(canvas, image, mask) {
  const [picture, hole] = await Promise.all([image, mask].map((part) => createImageBitmap(part)));
  Object.assign(canvas, { width: picture.width, height: picture.height });
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  context.globalCompositeOperation = "lighten";
  context.drawImage(hole, 0, 0);
}

/** Show the fills as a group of radio buttons. */
export function showCandidates(fill, take) {
  const shown = $("candidates");
  if (shown.fill === fill) return;
  const focused = shown.contains(document.activeElement);
  shown.fill = fill;
  shown.replaceChildren(
    ...(fill?.candidates ?? []).map((candidate, index) => {
      const button = document.createElement("button");
      const picture = document.createElement("img");
      const chosen = index === fill.taken;
      button.type = "button";
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      const name = `Result ${index + 1}${loss(candidate)}`;
      button.setAttribute("aria-label", name);
      button.title = name;
      picture.alt = "";
      candidate.thumbnail().then((blob) => (picture.src = candidate.url ??= URL.createObjectURL(blob)), () => {});
      button.append(picture);
      button.addEventListener("click", () => take(index));
      return button;
    }),
  );
  if (focused) shown.children[fill?.taken]?.focus();
}

/** What a fill without any frame, mended from its surroundings, does not have. */
const loss = (candidate) => (candidate.loss === undefined ? "" : `, loss ${candidate.loss.toFixed(4)}`);
