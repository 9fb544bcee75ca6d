import { everything } from "../../packages/runtime/test/pipelines.ts"

/** The plan with every kind of node, and one more that is this run's own. */
export const neighbourPlan = (number: number): string =>
  `${everything}  own: { op: Measure, in: { text: right.text }, refuse: ${number + 2} }\n`
