// The options: what the server offers, what was chosen, and that it is remembered.

import { $ } from "./panel.js";
import { Frame } from "./frames.js";

const QUALITIES = {
  fast: "Quick",
  balanced: "Good",
  thorough: "Best, slower",
  yeh2017: "As in 2017, slow",
};
const NEARNESS = {
  uniform: "all alike",
  box: "as in 2017",
  inverse: "near more",
  "inverse-square": "near much more",
};
const REMEMBERED = ["model", "preset", "weighting", "count", "seed", "show-frames", "size", "sensitivity"];
const KEY = "options";

/** List what the server offers, then choose what was chosen last. */
export function showOffer(offer) {
  const option = (value, text = value, chosen = false) => new Option(text, value, chosen, chosen);
  $("model").replaceChildren(
    ...offer.models.map(({ name, resolution, default: chosen }) =>
      Object.assign(option(name, name, chosen), { title: `Sees a square of ${resolution} pixels` }),
    ),
  );
  $("preset").replaceChildren(
    ...offer.presets.map((name) => option(name, QUALITIES[name] ?? name, name === "balanced")),
  );
  $("weighting").append(
    ...offer.weightings.map((name) => option(name, NEARNESS[name] ?? name.replace("-", " "))),
  );
  $("count").max = offer.max_candidates;
  $("find-faces").hidden = !offer.frames;
  Frame.eyes = offer.frame_eyes;
  recall();
}

const value = (input) => (input.type === "checkbox" ? input.checked : input.value);

function recall() {
  const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}");
  for (const name of REMEMBERED.filter((one) => one in kept)) {
    const input = $(name);
    if (input.type === "checkbox") input.checked = kept[name];
    else if (input.tagName !== "SELECT" || [...input.options].some((one) => one.value === kept[name])) {
      input.value = kept[name];
    }
  }
}

/** Remember every choice from now on. */
export function rememberOptions() {
  for (const name of REMEMBERED) {
    $(name).addEventListener("input", () => {
      const all = REMEMBERED.map((one) => [one, value($(one))]);
      localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(all)));
    });
  }
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
  const { left, top } = editor.extension; // the server counts from the picture's own corner
  const numbers = ({ eyes }) => eyes.flatMap(({ x, y }) => [(x - left).toFixed(2), (y - top).toFixed(2)]);
  return { ...options, eyes: editor.frames.map((frame) => numbers(frame).join(",")) };
}

function clamped(input) {
  const wanted = Math.round(Number(input.value)) || 0;
  input.value = Math.min(Math.max(wanted, Number(input.min)), Number(input.max));
  return input.value;
}
