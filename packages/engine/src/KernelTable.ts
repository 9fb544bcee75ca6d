/** docs/kernels.md, made from the kernel table. */
import { differentiableKernels } from "./gradients/Gradients.ts"
import { kernelFamilies } from "./kernels/Kernels.ts"
import type { Kernel } from "./kernels/Kernel.ts"

const hasGradient = (name: string, family: string): boolean => differentiableKernels.has(name) || family === "Composite"

/** Where TensorFlow computes something else. A kernel that it had no operations for would fail Lowering.test.ts. */
const tensorflow: Readonly<Record<string, string>> = {
  BatchMatMul: "yes; bf16 where asked for",
  _FusedMatMul: "yes; bf16 where asked for",
  GatherV2: "yes; on a GPU a position out of range gives zeros"
}

const row = ({ name, note }: Kernel, family: string): string =>
  `| ${name} | ${note} | ${hasGradient(name, family) ? "yes" : "no"} | ${tensorflow[name] ?? "yes"} |`

const section = (family: string, kernels: ReadonlyArray<Kernel>): string =>
  [
    `## ${family}`,
    "",
    "| kernel | accepts | gradient | tensorflow |",
    "|---|---|---|---|",
    ...[...kernels].sort((a, b) => (a.name < b.name ? -1 : 1)).map((kernel) => row(kernel, family)),
    ""
  ].join("\n")

const introduction = `# Kernels that a captured program may use

A tensor program is ordinary tfjs-core code; the names below are those of tfjs's kernels, which its operations call
(\`tf.matMul\` calls BatchMatMul, \`tf.add\` calls Add). Tensors are float32, int32 or bool and have at least one element; shapes are
static. The last column is about \`--engine tensorflow\`, which runs the same captured graphs (docs/engines.md). Anything else fails at capture with an UnsupportedKernel error that names the kernel and the program. "any" means
float32, int32 and bool. Kernels without a gradient can be used where none flows.

This file is generated: \`npx vitest run packages/engine/test/KernelTable.test.ts --update\`.
`

export const kernelTable = (): string =>
  [introduction, ...Object.entries(kernelFamilies).map(([family, kernels]) => section(family, kernels))].join("\n")
