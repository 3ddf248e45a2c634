import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** Rounds with several operating system processes whose timing is measured: nothing runs beside them. */
const timed = ['crash', 'frozen', 'switchover'].map((name) => `test/processes/${name}.test.ts`)
/** What replaces modules of Node needs modules of its own. */
const replacing = ['test/adapters/tcp-self.test.ts', 'test/adapters/storage-failures.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    // One core less than there are, as the default is, would mean one file after the other on two cores.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // What is thrown away young is collected more cheaply from a larger space.
    execArgv: ['--max-semi-space-size=64'],
    coverage: { provider: 'v8', include: ['src/**/*.ts'] },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/processes/**', 'test/soak/**', ...replacing],
          // A process that is warm is much faster, and these files leave nothing changed behind.
          isolate: false,
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          globalSetup: 'test/support/program.ts',
          include: ['test/processes/**/*.test.ts', ...replacing],
          exclude: timed,
          testTimeout: 90_000,
          hookTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'timed',
          globalSetup: 'test/support/program.ts',
          include: timed,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 90_000,
          hookTimeout: 30_000,
        },
      },
    ],
  },
})
