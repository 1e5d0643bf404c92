/*
The card form: Stripe's element makes a reference of the card, in the browser, and our form sends that alone. The number
is in no field of ours.
*/
"use strict";

(() => {
  const form = document.querySelector("[data-card-form]");
  if (!form) return;
  const place = form.querySelector("[data-card-element]");
  const button = form.querySelector("button[type=submit]");
  const problem = form.querySelector("#card-error");
  const group = form.querySelector("[role=group]");

  const complain = (message) => {
    problem.querySelector("[data-card-error]").textContent = message;
    problem.hidden = !message;
    group.setAttribute("aria-describedby", message ? "card-hint card-error" : "card-hint");
    place.classList.toggle("is-wrong", Boolean(message));
  };

  if (!window.Stripe) {
    complain("The card form could not be loaded. See whether something blocks Stripe in your browser, and load the page again.");
    button.disabled = true;
    return;
  }

  /** In the frame of Stripe's element our style sheet does not hold. */
  const look = () => {
    const { color, fontSize, fontFamily } = getComputedStyle(place);
    const faint = getComputedStyle(form.querySelector(".field-hint")).color;
    return { base: { color, fontSize, fontFamily, iconColor: faint, "::placeholder": { color: faint } } };
  };

  const stripe = window.Stripe(form.dataset.publishableKey);
  const card = stripe.elements().create("card", { style: look() });
  card.mount(place);
  card.on("change", (event) => complain(event && event.error ? event.error.message : ""));

  form.closest("details").addEventListener("toggle", (event) => {
    if (event.target.open) card.focus();
  });

  const reference = async () => {
    try {
      const answer = await stripe.createPaymentMethod({ type: "card", card });
      if (answer && answer.paymentMethod) return answer.paymentMethod.id;
      complain((answer && answer.error && answer.error.message) || "The card could not be read. Please try once more.");
    } catch {
      complain("Stripe could not be reached. Please try once more.");
    }
    return null;
  };

  form.addEventListener("submit", async (event) => {
    const field = form.elements.card_id;
    if (field.value) return;
    event.preventDefault();
    event.stopPropagation();
    if (button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    const id = await reference();
    button.removeAttribute("aria-busy");
    if (!id) return;
    field.value = id;
    form.requestSubmit();
  });

  // Who comes back from the history enters the card anew: a reference works once.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) form.elements.card_id.value = "";
  });
})();
