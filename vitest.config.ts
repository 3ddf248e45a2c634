import { defineConfig } from 'vitest/config'

// Two projects: everything that runs in one process, and the rounds with several operating system
// processes, which are slower and would disturb each other's timing if they ran side by side.
export default defineConfig({
  test: {
    pool: 'forks',
    coverage: { provider: 'v8', include: ['src/**/*.ts'] },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/processes/**', 'test/soak/**', '**/node_modules/**'],
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: ['test/processes/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 90_000,
          hookTimeout: 30_000,
        },
      },
    ],
  },
})
