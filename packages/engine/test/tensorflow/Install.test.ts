/** `engine install tensorflow` with a Python, a pip and a compiler of the test's own: no network, no library. */
import { createHash } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { findInstallation, installationFolder, installedBinding } from "../../src/tensorflow/install/Installation.ts"
import { installTensorflow } from "../../src/tensorflow/install/Install.ts"
import { zip } from "./WriteZip.ts"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bootlace-install-"))
  mkdirSync(join(folder, "bin"))
  vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"))
  vi.stubEnv("PATH", `${join(folder, "bin")}:/usr/bin:/bin`)
  vi.stubEnv("PYTHON", "")
  vi.stubEnv("CXX", "")
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

/** A shell script on the path. */
function program(name: string, script: string): string {
  const file = join(folder, "bin", name)
  writeFileSync(file, `#!/bin/sh\necho "$*" >> ${join(folder, "calls")}\n${script}\n`)
  chmodSync(file, 0o755)
  return file
}
const calls = (): ReadonlyArray<string> => readFileSync(join(folder, "calls"), "utf8").trim().split("\n")

const headers = "c_api c_api_macros tf_attrtype tf_buffer tf_datatype tf_status tf_tensor tf_tstring eager/c_api"
const wheelBytes = zip([
  { name: "tensorflow/libtensorflow_cc.so.2", content: "library" },
  { name: "tensorflow/libtensorflow_framework.so.2", content: "framework" },
  { name: "tensorflow/python/big.py", content: "not wanted" },
  ...headers.split(" ").map((name) => ({ name: `tensorflow/include/tensorflow/c/${name}.h`, content: "" })),
  ...["tensorflow/core", "tsl"].flatMap((room) =>
    ["ctstring", "ctstring_internal"].map((name) => ({
      name: `tensorflow/include/${room}/platform/${name}.h`,
      content: ""
    }))
  ),
  { name: "tensorflow/include/xla/tsl/c/tsl_status.h", content: "" }
])
const wheel = {
  package: "tensorflow-cpu",
  sha256: createHash("sha256").update(wheelBytes).digest("hex"),
  platform: "manylinux_2_27_x86_64",
  bytes: 1000
}

/** A Python whose pip copies the wheel to the folder after --dest. */
function pip(download = `while [ "$1" != --dest ]; do shift; done; cp ${"WHEEL"} "$2/tensorflow_cpu.whl"`): void {
  const file = join(folder, "source.whl")
  writeFileSync(file, wheelBytes)
  program("python3", `[ "$3" = --version ] && exit 0\n${download.replace("WHEEL", file)}`)
}

const install = (options: Partial<Parameters<typeof installTensorflow>[0]> = {}) => {
  const said: Array<string> = []
  return Effect.runPromise(
    installTensorflow({
      variant: "cpu",
      say: (line) => Effect.sync(() => void said.push(line)),
      wheel,
      ...options
    }).pipe(
      Effect.match({
        onFailure: (error) => ({ said, installation: undefined, detail: error.detail, reason: error.reason }),
        onSuccess: (installation) => ({ said, installation, detail: "", reason: undefined })
      })
    )
  )
}

describe("engine install tensorflow", () => {
  it("says that Python is missing", async () => {
    vi.stubEnv("PATH", join(folder, "bin"))
    const { detail, reason } = await install()
    expect(reason).toBe("Unavailable")
    expect(detail).toContain("there is no Python on the path")
    expect(detail).toContain("PYTHON")
  })

  it("says that pip is missing, and where from", async () => {
    program("python3", "echo 'No module named pip' >&2; exit 1")
    expect((await install()).detail).toMatch(/python3 has no pip: No module named pip; install it/)
  })

  it("says that a compiler is missing", async () => {
    pip()
    vi.stubEnv("PATH", join(folder, "bin"))
    expect((await install()).detail).toContain("there is no C++ compiler on the path")
  })

  it("says how much disk space is missing, and fetches nothing", async () => {
    pip()
    program("g++", "exit 0")
    expect((await install({ wheel: { ...wheel, bytes: 1e18 } })).detail).toMatch(
      /GB free, the installation takes 1000000000\.0 GB; .*XDG_CACHE_HOME/
    )
    expect(calls()).toEqual(["-m pip --version"])
  })

  it("repeats pip's own reason, and how to see its index", async () => {
    pip("echo 'ERROR: No matching distribution found' >&2; exit 1")
    program("g++", "exit 0")
    expect((await install()).detail).toMatch(
      /pip could not fetch tensorflow-cpu==2\.21\.0: ERROR: No matching distribution found; .*pip config list/
    )
  })

  it("removes a wheel with another hash", async () => {
    pip()
    program("g++", "exit 0")
    const { detail } = await install({ wheel: { ...wheel, sha256: "0".repeat(64) } })
    expect(detail).toContain(`has the sha256 ${wheel.sha256}, expected ${"0".repeat(64)}; it was removed`)
    expect(existsSync(join(`${installationFolder("cpu")}.partial`, "wheel", "tensorflow_cpu.whl"))).toBe(false)
  })

  it("asks pip for one pinned file, whatever Python runs it, and keeps it for the next attempt", async () => {
    pip()
    program("g++", "echo 'tfjs_backend.cc:1: error: no such thing' >&2; exit 1")
    const first = await install()
    expect(first.detail).toContain("could not compile the binding: tfjs_backend.cc:1: error: no such thing")
    expect(calls().find((call) => call.includes("download"))).toMatch(
      /^-m pip download --no-deps --only-binary=:all: --platform manylinux_2_27_x86_64 --python-version 3\.11 .*tensorflow-cpu==2\.21\.0$/
    )
    const partial = `${installationFolder("cpu")}.partial`
    expect(readFileSync(join(partial, "tensorflow", "libtensorflow_cc.so.2"), "utf8")).toBe("library")
    expect(existsSync(join(partial, "tensorflow", "python"))).toBe(false)
    await install()
    expect(calls().filter((call) => call.includes("download"))).toHaveLength(1)
    expect(await Effect.runPromise(findInstallation)).toBeUndefined()
  })

  it("says what a binding that doesn't load said", async () => {
    pip()
    program("g++", 'while [ "$1" != -o ]; do shift; done; echo nonsense > "$2"')
    expect((await install()).detail).toMatch(/the compiled binding doesn't load: ./)
  })

  it("knows no wheel for other platforms", async () => {
    vi.spyOn(process, "platform", "get").mockReturnValue("sunos")
    const { detail } = await install({ wheel: undefined as never })
    vi.restoreAllMocks()
    expect(detail).toContain("no wheel of TensorFlow is known for cpu sunos")
    expect(detail).toContain("cpu linux x64")
  })

  it("is found by its receipt only, and says how to get it where there is none", async () => {
    const place = installationFolder("cpu")
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, "tfjs_binding.node"), "")
    const missing = await Effect.runPromise(Effect.flip(installedBinding))
    expect(missing.detail).toContain("bootlace engine install tensorflow")
    writeFileSync(join(place, "installed.json"), "{ half")
    expect(await Effect.runPromise(findInstallation)).toBeUndefined()
    const receipt = { tensorflow: "2.21.0", variant: "cpu", wheel: "a.whl", sha256: "0" }
    writeFileSync(join(place, "installed.json"), JSON.stringify(receipt))
    expect(await Effect.runPromise(installedBinding)).toBe(join(place, "tfjs_binding.node"))
    const { installation, said } = await install()
    expect(installation).toEqual({ folder: place, ...receipt })
    expect(said).toEqual([`TensorFlow 2.21.0 (cpu) is installed in ${place}`])
  })
})
