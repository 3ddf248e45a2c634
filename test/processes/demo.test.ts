import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

it('a demo that does not end in time says so, with what is known, and fails', () => {
  const command = ['--import', 'tsx', 'examples/demo/main.ts', '--json', '--limit', '1.5']
  const { status, stdout } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' })
  const last = stdout.trimEnd().split('\n').at(-1) ?? ''
  expect(JSON.parse(last)).toMatchObject({
    ok: false,
    error: 'the demo did not end within 1.5 s',
    nodes: 3,
    ackedWrites: expect.any(Number),
  })
  expect(status).toBe(1)
})
