// Twelve questions to test oneself with: type first, then see why.

import { el, setText } from "../dom.js";
import { t, whole } from "../i18n.js";
import { QUESTIONS, isRight, numbersIn } from "./questions.js";

/** @param {HTMLElement} place */
export function mount(place) {
  const score = el("p", { aria: { role: "status" } });
  const right = new Set();
  const cards = QUESTIONS.map((question, i) => card(question, i, (isGood) => {
    if (isGood) right.add(question.name);
    setText(score, t("exercise.score", { n: right.size, all: QUESTIONS.length }));
  }));
  place.append(el("div", {}, el("h2", { text: "lab.exercises" }), el("p.lab-intro", { text: "exercise.intro" })), ...cards, score);
}

function card(question, index, answered) {
  const { name, answer, options: statements } = question;
  const verdict = el("p", { aria: { role: "status" } });
  const why = el("div.lab-inner", { hidden: true }, el("p", {}, t(`exercise.${name}.why`)));
  const id = `exercise-${name}`;
  const field = answer ? el("input", { type: "text", id, autocomplete: "off", inputMode: answer.length > 1 ? "text" : "decimal" }) : null;
  const boxes = (statements ?? []).map((key) => el("input", { type: "checkbox", value: key }));
  const form = el("form.lab-inner", {});
  const legend = [el("span", {}, `${index + 1}. `), t(`exercise.${name}`)];
  if (field) form.append(el("label", { htmlFor: id }, ...legend), field);
  else form.append(el("fieldset", {}, el("legend", {}, ...legend), ...boxes.map((box) => el("label.check", {}, box, el("span", {}, t(`exercise.${name}.${box.value}`))))));
  form.append(el("div.buttons", {}, el("button", { type: "submit", className: "button" }, t("exercise.check"))), verdict, why);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = field ? field.value : boxes.filter((box) => box.checked).map((box) => box.value);
    if (field && !numbersIn(field.value).length) return setText(verdict, t("exercise.type"));
    const isGood = isRight(question, given);
    const wanted = answer ? answer.map(whole).join(", ") : question.wrong.map((key) => t(`exercise.${name}.${key}`)).join(" / ");
    setText(verdict, isGood ? t("exercise.right") : t("exercise.wrong", { answer: wanted }));
    why.hidden = false;
    answered(isGood);
    return undefined;
  });
  return el("section.lab-card", { data: { exercise: name } }, form);
}
