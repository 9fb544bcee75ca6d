/** The packed tarballs, installed into an empty folder, run the tiny pipelines: nothing of the checkout is needed. */
import { execFileSync } from "node:child_process"
import { cpSync, readFileSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { emptyFolder, root, runJson } from "../bootlace.ts"

it("installs and trains outside the checkout", async () => {
  execFileSync(process.execPath, [join(root, "scripts/pack.ts")], { cwd: root, stdio: "pipe" })
  const tarballs = join(root, "dist/tarballs")
  const folder = emptyFolder()
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly devDependencies: Readonly<Record<string, string>>
  }
  const emoji = Object.entries(devDependencies).filter(([name]) => name.startsWith("emoji"))
  const packed = readdirSync(tarballs).map((file) => [
    file === "bootlace-0.1.0.tgz" ? "bootlace" : file.replace(/^bootlace-(.+)-0\.1\.0\.tgz$/, "@bootlace/$1"),
    `file:${join(tarballs, file)}`
  ])
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ private: true, type: "module", dependencies: Object.fromEntries([...packed, ...emoji]) })
  )
  execFileSync("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], {
    cwd: folder,
    stdio: "pipe"
  })
  cpSync(join(root, "pipelines"), join(folder, "pipelines"), { recursive: true })
  cpSync(join(root, "bootlace.config.ts"), join(folder, "bootlace.config.ts"))
  const command = [process.execPath, join(folder, "node_modules/bootlace/bin/bootlace.js")]
  const clip = await runJson(["pipelines/tiny/clip.yaml"], { cwd: folder, command })
  expect(clip.status).toBe("done")
  expect(clip.metrics["zero_shot.top1"]).toBeGreaterThan(0)
  const capfilt = await runJson(["pipelines/tiny/capfilt.yaml"], { cwd: folder, command })
  expect(capfilt.status).toBe("done")
  expect(capfilt.nodes["retrain"]).toMatchObject({ op: "Train", cached: false })
  expect(capfilt.metrics["retrain.steps"]).toBe(60)
})
