// Keeps the list fresh, and arms "Delete all". Without this script the page shows what was there when it was loaded.
"use strict";

const list = document.getElementById("list");
const news = document.getElementById("news");
const words = document.getElementById("q").value;
let tag = "";

function total() {
  return Number(list.querySelector(".count").dataset.total);
}

async function refresh() {
  const query = new URLSearchParams({ q: words, current: list.dataset.current });
  const response = await fetch(`/list?${query}`, { headers: tag ? { "If-None-Match": tag } : {} });
  if (response.status !== 200) return;
  const first = tag === "";
  tag = response.headers.get("ETag");
  if (first) return; // The page came with it.
  const before = total();
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  list.innerHTML = await response.text();
  if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  const more = total() - before;
  if (more > 0) news.textContent = more === 1 ? "One new letter." : `${more} new letters.`;
  if (before === 0 && document.body.classList.contains("browsing")) location.reload();
}

async function keepFresh() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    // The mailbox is down, for the moment or for good: what is shown stays.
  }
  setTimeout(keepFresh, 1500);
}

const clear = document.getElementById("clear");
clear.hidden = false;
clear.addEventListener("click", async () => {
  if (!clear.classList.contains("armed")) {
    clear.classList.add("armed");
    clear.textContent = "Click to confirm";
    setTimeout(() => {
      clear.classList.remove("armed");
      clear.textContent = "Delete all";
    }, 3000);
    return;
  }
  await fetch("/letters", { method: "DELETE" });
  location.assign("/");
});

keepFresh();
