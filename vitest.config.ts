import { defineConfig } from "vitest/config"

const rooms = ["graph", "engine", "models", "data", "operators", "runtime", "report", "bootlace"]

// Vitest runs several files at once, one worker per core; tensor tests are heavy, so the limits are wide.
const shared = { testTimeout: 60_000, hookTimeout: 60_000 }

export default defineConfig({
  test: {
    projects: [
      ...rooms.map((name) => ({ test: { ...shared, name, include: [`packages/${name}/test/**/*.test.ts`] } })),
      {
        test: {
          ...shared,
          name: "whole",
          include: ["test/**/*.test.ts", "pipelines/**/*.test.ts"],
          testTimeout: 900_000
        }
      }
    ]
  }
})
