#!/usr/bin/env node
/* Plain JavaScript that old versions of Node can read, so that they can say what is missing. */
import { existsSync } from "node:fs"
import * as nodeModule from "node:module"

const needed = [22, 19]
const found = process.versions.node.split(".").map(Number)

if (found[0] < needed[0] || (found[0] === needed[0] && found[1] < needed[1])) {
  process.stderr.write(
    "bootlace needs Node " +
      needed.join(".") +
      " or newer; this is Node " +
      process.versions.node +
      ".\n" +
      "hint: install a newer Node (https://nodejs.org), or run it in a checkout with npx, which brings its own\n"
  )
  process.exitCode = 2
} else {
  if (nodeModule.enableCompileCache) nodeModule.enableCompileCache()
  const name = process.argv[2] === "run" ? "Supervisor" : "main"
  const source = new URL("../src/" + name + ".ts", import.meta.url)
  void import(existsSync(source) ? source.href : new URL("../dist/" + name + ".js", import.meta.url).href)
}
