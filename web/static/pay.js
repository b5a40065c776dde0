// Takes a payment with Stripe's Payment Element. Everything that it needs stands in the page.
"use strict";

const area = document.getElementById("payment");
const button = document.getElementById("pay");
const said = document.getElementById("said");
const label = button.textContent;

function loaded(source) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = source;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
}

function ready(text) {
  said.textContent = text;
  button.textContent = label;
  button.disabled = false;
}

async function pay(stripe, elements, done) {
  button.disabled = true;
  button.textContent = button.dataset.waits;
  said.textContent = "";
  try {
    // Stripe leads the browser to the bank and then to `done` by itself, where a bank asks for that.
    const outcome = await stripe.confirmPayment({
      elements,
      confirmParams: { return_url: done },
      redirect: "if_required",
    });
    if (outcome.error) ready(outcome.error.message || area.dataset.failed);
    else location.assign(done);
  } catch {
    ready(area.dataset.failed);
  }
}

async function begin() {
  await loaded(area.dataset.stripe);
  const stripe = window.Stripe(area.dataset.key);
  const elements = stripe.elements({ clientSecret: area.dataset.secret, locale: area.dataset.locale });
  const element = elements.create("payment");
  element.on("ready", () => { button.disabled = false; });
  element.on("loaderror", () => { said.textContent = area.dataset.away; });
  element.mount(area);
  const done = new URL(area.dataset.done, location.href).href;
  button.addEventListener("click", () => pay(stripe, elements, done));
}

begin().catch(() => { said.textContent = area.dataset.away; });
