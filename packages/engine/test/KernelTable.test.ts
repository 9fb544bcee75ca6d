import { expect, it } from "vitest"
import { kernelTable } from "../src/KernelTable.ts"
import { supportedKernels } from "../src/index.ts"

it("docs/kernels.md lists every kernel", async () => {
  await expect(kernelTable()).toMatchFileSnapshot("../../../docs/kernels.md")
  for (const kernel of supportedKernels) expect(kernelTable()).toContain(`| ${kernel} |`)
})
