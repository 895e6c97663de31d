// What pages do better with a script. Each of them works without.
"use strict";

// Copy buttons stand beside what is to be copied; without a script they are hidden.
for (const button of document.querySelectorAll("button.copy")) {
  const source = button.parentElement.querySelector(".copy-source");
  const label = button.firstChild;
  const told = button.parentElement.querySelector("[role=status]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      label.textContent = "Copied";
      told.textContent = "Copied";
    } catch {
      // no clipboard over plain HTTP: select the text, so that it can be copied by hand
      window.getSelection().selectAllChildren(source);
      label.textContent = "Selected";
      told.textContent = "Selected: copy it with the keyboard";
    }
    window.setTimeout(() => { label.textContent = "Copy"; }, 2000);
  });
}

// Times are UTC on the page; the visitor's own clock is in the tooltip.
for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = `${new Date(time.dateTime).toLocaleString()} (your time)`;
}

// A menu closes when one looks elsewhere.
for (const menu of document.querySelectorAll("details.menu")) {
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { menu.open = false; menu.querySelector("summary").focus(); }
  });
}

// What went wrong is read out first.
const problem = document.getElementById("problem");
if (problem) problem.focus();

// A page that the browser kept from before a sign-out is asked for again.
window.addEventListener("pageshow", (event) => { if (event.persisted) window.location.reload(); });

// On a small screen each row of a table stands by itself, with what its columns are called.
for (const table of document.querySelectorAll("main .table")) {
  const names = [...table.querySelectorAll("thead th")].map((name) => name.textContent.trim());
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.children].forEach((cell, place) => { cell.dataset.label = names[place] === "Actions" ? "" : names[place]; });
  }
  table.classList.add("with-labels");
}

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    window.setTimeout(() => { delete form.dataset.sent; }, 5000); // it may have been stopped on its way
  });
}
