import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { freePorts } from '../support/ports.js'
import { retryUntil } from '../support/wait.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'hotspare-quickstart-'))
const app = join(folder, 'app')
const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** Installs the example as a user would, with the package as it would be published. */
async function install(): Promise<void> {
  cpSync(join(root, 'examples/quickstart'), app, {
    recursive: true,
    filter: (path) => !path.includes('node_modules') && !path.endsWith('/data'),
  })
  const { stdout } = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    { cwd: root },
  )
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('['))) as { filename: string }[]
  const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
  await run('npm', ['install', ...flags, join(folder, packed?.filename ?? '')], { cwd: app })
}

function start(id: string, config: string): ChildProcess {
  const child = spawn(process.execPath, ['server.js', id, config], {
    cwd: app,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

async function json(url: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
  const response = await fetch(url, init)
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  return (await response.json()) as Record<string, unknown>
}

describe('the quickstart example', () => {
  it('installed from the packed package: two nodes, the active is killed, the other has everything and goes on', async () => {
    await install()
    const [first = 0, second = 0, firstHttp = 0, secondHttp = 0] = await freePorts(4)
    const given = JSON.parse(readFileSync(join(app, 'config.json'), 'utf8')) as object
    const nodes = [
      { id: 'alpha', address: `127.0.0.1:${first}`, http: firstHttp },
      { id: 'beta', address: `127.0.0.1:${second}`, http: secondHttp },
    ]
    writeFileSync(join(app, 'test.json'), JSON.stringify({ ...given, nodes }))
    const [alpha, beta] = [`http://127.0.0.1:${firstHttp}`, `http://127.0.0.1:${secondHttp}`]
    const active = start('alpha', 'test.json')
    start('beta', 'test.json')
    const redundant = (): Promise<boolean> =>
      json(`${alpha}/status`).then(({ redundant }) => redundant === true)
    await retryUntil('two nodes in sync', redundant)

    // Asked of the standby, which redirects to the active.
    const recording = Buffer.alloc(300_000, 'a recorded voice ')
    const body = new Blob([recording])
    const left = await retryUntil('the standby to answer', () =>
      json(`${beta}/messages/ann`, { method: 'POST', body }),
    )
    await json(`${beta}/greetings/ann`, { method: 'PUT', body: 'This is Ann.' })
    await retryUntil('the standby to know it', async () => {
      return (await json(`${beta}/messages/ann`)).greeting === 'This is Ann.'
    })

    active.kill('SIGKILL')
    const before = await json(`${beta}/messages/ann`)
    expect(before).toMatchObject({ greeting: 'This is Ann.', messages: [{ id: left.id }] })
    const played = await fetch(`${beta}/messages/ann/${String(left.id)}`)
    expect(Buffer.from(await played.arrayBuffer()).equals(recording)).toBe(true)
    const more = await retryUntil('the other node to take messages', () =>
      json(`${beta}/messages/ann`, { method: 'POST', body: 'another one' }),
    )

    start('alpha', 'test.json')
    await retryUntil('the first node to be back with everything', async () => {
      const { messages } = await json(`${alpha}/messages/ann`)
      return JSON.stringify(messages).includes(String(more.id))
    })
    const { role } = await json(`${alpha}/status`)
    expect(role).toBe('standby')
  })
})
