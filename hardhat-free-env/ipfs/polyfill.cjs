// The IPFS daemon calls Promise.withResolvers, which Node has from 22 on:
//   node --require ./polyfill.cjs node_modules/.bin/jsipfs daemon --offline
"use strict";
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
};
