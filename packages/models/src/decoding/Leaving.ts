/**
 * Images whose captions have ended leave a decoding when half of the places are idle: a step is compiled for few sizes, and moving
 * the cache costs. Two places stay at least, where there were two.
 */

/** `open` says of each place whether it is still decoded. The places that go on, ended ones among them; undefined: all of them. */
export const staying = (open: ReadonlyArray<boolean>): ReadonlyArray<number> | undefined => {
  const running = open.filter((each) => each).length
  let size = open.length
  while (size > 2 && Math.ceil(size / 2) >= running) size = Math.ceil(size / 2)
  if (size === open.length) return undefined
  let idle = size - running
  return [...open.keys()].filter((place) => open[place]! || idle-- > 0)
}
