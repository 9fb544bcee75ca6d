/**
 * Registers tfjs-core's gradients, which its CommonJS bundle leaves out. They lie in dist/ as ES modules whose imports
 * have no file endings, so Node needs a resolve hook. Engine and registries are global: both copies share them.
 */
import { existsSync } from "node:fs"
import { registerHooks } from "node:module"
import { fileURLToPath } from "node:url"

const hooks = registerHooks({
  resolve(specifier, context, nextResolve) {
    if (specifier.startsWith(".") && context.parentURL?.includes("/@tensorflow/tfjs-core/dist/")) {
      const file = new URL(`${specifier}.js`, context.parentURL)
      const index = new URL(`${specifier}/index.js`, context.parentURL)
      if (existsSync(fileURLToPath(file))) return nextResolve(file.href, context)
      if (existsSync(fileURLToPath(index))) return nextResolve(index.href, context)
    }
    return nextResolve(specifier, context)
  }
})
const gradients = new URL("./register_all_gradients.js", import.meta.resolve("@tensorflow/tfjs-core"))
await import(/* @vite-ignore */ gradients.href)
hooks.deregister()
