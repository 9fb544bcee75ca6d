/** Gradients of elementwise kernels. At a kink the side is the one PyTorch takes, unless a comment says otherwise. */
import type { GradConfig, Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import { gradient, noGradient, sumTo } from "./Gradient.ts"

const float = (condition: Tensor): Tensor => tf.cast(condition, "float32")

/** A gradient that multiplies dy by the derivative at x. */
const factor = (name: string, derivative: (x: Tensor) => Tensor): GradConfig =>
  gradient(name, ["x"], (dy, [x]) => ({ x: () => tf.mul(dy, derivative(x!)) }))

/** The same where the derivative is simplest in terms of the result. */
const factorOfResult = (name: string, derivative: (y: Tensor) => Tensor): GradConfig =>
  gradient(name, ["y"], (dy, [y]) => ({ x: () => tf.mul(dy, derivative(y!)) }))

/** dy to `a` where `takesA` holds, else to `b`. tfjs's rule at ties: a gets it (PyTorch halves it). */
const choice = (name: string, takesA: (a: Tensor, b: Tensor) => Tensor): GradConfig =>
  gradient(name, ["a", "b"], (dy, [a, b]) => ({
    a: () => sumTo(tf.mul(dy, float(takesA(a!, b!))), a!.shape),
    b: () => sumTo(tf.mul(dy, float(tf.logicalNot(takesA(a!, b!)))), b!.shape)
  }))

const binaryGradients: ReadonlyArray<GradConfig> = [
  gradient("Add", ["a", "b"], (dy, [a, b]) => ({ a: () => sumTo(dy, a!.shape), b: () => sumTo(dy, b!.shape) })),
  gradient("Sub", ["a", "b"], (dy, [a, b]) => ({ a: () => sumTo(dy, a!.shape), b: () => tf.neg(sumTo(dy, b!.shape)) })),
  gradient("Multiply", ["a", "b"], (dy, [a, b]) => ({
    a: () => sumTo(tf.mul(dy, float(b!)), a!.shape),
    b: () => sumTo(tf.mul(dy, float(a!)), b!.shape)
  })),
  gradient("RealDiv", ["a", "b"], (dy, [a, b]) => ({
    a: () => sumTo(tf.div(dy, float(b!)), a!.shape),
    b: () => tf.neg(sumTo(tf.div(tf.mul(dy, float(a!)), tf.square(float(b!))), b!.shape))
  })),
  gradient("SquaredDifference", ["a", "b"], (dy, [a, b]) => {
    const twice = () => tf.mul(dy, tf.mul(tf.sub(a!, b!), 2))
    return { a: () => sumTo(twice(), a!.shape), b: () => tf.neg(sumTo(twice(), b!.shape)) }
  }),
  gradient("Pow", ["a", "b", "y"], (dy, [a, b, y]) => ({
    a: () =>
      sumTo(tf.mul(dy, tf.mul(float(b!), tf.pow(a!, tf.sub(b!, tf.scalar(1, b!.dtype as "float32"))))), a!.shape),
    b: () => {
      const positive = tf.greater(a!, 0)
      const logarithm = tf.where(positive, tf.log(tf.where(positive, a!, tf.onesLike(a!))), tf.zerosLike(a!))
      return sumTo(tf.mul(dy, tf.mul(y!, logarithm)), b!.shape)
    }
  })),
  choice("Maximum", (a, b) => tf.greaterEqual(a, b)),
  choice("Minimum", (a, b) => tf.lessEqual(a, b))
]

const smoothGradients: ReadonlyArray<GradConfig> = [
  gradient("Neg", [], (dy) => ({ x: () => tf.neg(dy) })),
  gradient("Identity", [], (dy) => ({ x: () => tf.clone(dy) })),
  gradient("Cast", [], (dy) => ({ x: () => float(dy) })),
  factor("Square", (x) => tf.mul(float(x), 2)),
  factor("Log", (x) => tf.reciprocal(float(x))),
  factor("Log1p", (x) => tf.reciprocal(tf.add(x, 1))),
  factor("Expm1", (x) => tf.exp(x)),
  factor("Sin", (x) => tf.cos(float(x))),
  factor("Cos", (x) => tf.neg(tf.sin(float(x)))),
  factor("Softplus", (x) => tf.sigmoid(x)),
  factor("Erf", (x) => tf.mul(tf.exp(tf.neg(tf.square(x))), 2 / Math.sqrt(Math.PI))),
  factorOfResult("Exp", (y) => y),
  factorOfResult("Sqrt", (y) => tf.div(0.5, y)),
  factorOfResult("Reciprocal", (y) => tf.neg(tf.square(y))),
  factorOfResult("Rsqrt", (y) => tf.mul(tf.mul(tf.square(y), y), -0.5)),
  factorOfResult("Tanh", (y) => tf.sub(1, tf.square(y))),
  factorOfResult("Sigmoid", (y) => tf.mul(y, tf.sub(1, y)))
]

const kinkedGradients: ReadonlyArray<GradConfig> = [
  factor("Abs", (x) => tf.sign(float(x))),
  factor("Relu", (x) => float(tf.greater(x, 0))),
  factor("Relu6", (x) => float(tf.logicalAnd(tf.greater(x, 0), tf.less(x, 6)))),
  factor("Elu", (x) => tf.where(tf.greater(x, 0), tf.onesLike(x), tf.exp(x))),
  gradient("ClipByValue", ["x"], (dy, [x], { clipValueMin, clipValueMax }) => ({
    x: () => {
      const inside = tf.logicalAnd(
        tf.greaterEqual(x!, clipValueMin as number),
        tf.lessEqual(x!, clipValueMax as number)
      )
      return tf.mul(dy, float(inside))
    }
  })),
  gradient("Select", ["condition", "t", "e"], (dy, [condition, yes, no]) => {
    const rows = condition!.shape.length === 1 && dy.shape.length > 1
    const picked = float(
      rows ? tf.reshape(condition!, [condition!.size, ...dy.shape.slice(1).map(() => 1)]) : condition!
    )
    return {
      condition: () => tf.zeros(condition!.shape),
      t: () => sumTo(tf.mul(dy, picked), yes!.shape),
      e: () => sumTo(tf.mul(dy, tf.sub(1, picked)), no!.shape)
    }
  })
]

const flatGradients: ReadonlyArray<GradConfig> = [
  ...[
    "Sign",
    "Floor",
    "Ceil",
    "Round",
    "Step",
    "IsNan",
    "IsInf",
    "IsFinite",
    "LogicalNot",
    "ZerosLike",
    "OnesLike"
  ].map((name) => noGradient(name, ["x"])),
  ...["Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "LogicalAnd", "LogicalOr", "FloorDiv"].map(
    (name) => noGradient(name, ["a", "b"])
  )
]

/** AddN has as many inputs as it is given, numbered. */
const addN: GradConfig = {
  kernelName: "AddN",
  saveAllInputs: true,
  gradFunc: (dy, saved) => Object.fromEntries(saved.map((_, index) => [String(index), () => tf.clone(dy as Tensor)]))
}

export const elementwiseGradients: ReadonlyArray<GradConfig> = [
  ...binaryGradients,
  ...smoothGradients,
  ...kinkedGradients,
  ...flatGradients,
  addN
]
