// Monaco, Radix and Motion add <style> elements at run time and take no nonce. Giving each new one the page's nonce
// keeps `style-src-elem` free of 'unsafe-inline'; waiting for every library to learn nonces was the alternative.
const nonce = document.querySelector('meta[property="csp-nonce"]')?.nonce
const createElement = document.createElement

document.createElement = function (name, options) {
  const element = createElement.call(document, name, options)
  if (element instanceof HTMLStyleElement) element.nonce = nonce
  return element
}
