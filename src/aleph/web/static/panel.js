// What is listed on the page: the results, and what is to be said of them.

export const $ = (id) => document.getElementById(id);

/** Show the fills as a group of radio buttons, each with the part where the hole was. */
export function showCandidates(fill, take) {
  const shown = $("candidates");
  if (shown.fill === fill) return;
  const focused = shown.contains(document.activeElement);
  shown.fill = fill;
  shown.replaceChildren(...(fill?.candidates ?? []).map((one, index) => choice(fill, one, index, take)));
  if (focused) shown.children[fill?.taken]?.focus();
}

function choice(fill, candidate, index, take) {
  const button = document.createElement("button");
  const picture = document.createElement("img");
  const chosen = index === fill.taken;
  button.type = "button";
  button.setAttribute("role", "radio");
  button.setAttribute("aria-checked", String(chosen));
  button.setAttribute("aria-label", `Result ${index + 1}`);
  button.title = `Result ${index + 1}`;
  button.tabIndex = chosen ? 0 : -1;
  picture.alt = "";
  const show = (blob) => (picture.src = candidate.url ??= URL.createObjectURL(blob));
  candidate.thumbnail().then(show, () => {});
  button.append(picture);
  button.addEventListener("click", () => take(index));
  return button;
}

/** What a person should know of a fill: where it is from, and what can be done about it. */
export function fillNote(fill) {
  return fill ? [shares(fill), fill.notice].filter(Boolean).join(" ") : "";
}

/** How much of the selection the model made up, and how much was continued from around it. */
function shares({ generated, guessed }) {
  if (generated === undefined || generated === null) return "";
  const percent = Math.round(100 * generated);
  const far = Math.round(100 * (guessed ?? 0));
  const guess = far ? ` ${far} % lies far from all that is known: there it is a guess.` : "";
  if (percent === 0) return `All of it was continued from its surroundings.${guess}`;
  if (percent === 100) return `All of it was filled by the model.${guess}`;
  return `${percent} % was filled by the model, ${100 - percent} % was continued from its surroundings.${guess}`;
}

/** The warnings of a fill, without the words of programs; `painted` says whether it was more than an
 * extension, beyond which nobody expects a face. */
export function plainWarnings({ report, warnings }, painted) {
  const placed = report?.frames?.some(({ dropped }) => !dropped);
  if (!placed && warnings.length) {
    return painted ? "No face was found there. If there is one, change the selection, mark its two eyes (F) and fill again." : "";
  }
  return warnings.filter((text) => !/--|Python/.test(text)).join(" ");
}
