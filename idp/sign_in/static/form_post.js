// Sends the form at once; who has no script presses the button.
document.forms[0].submit();
