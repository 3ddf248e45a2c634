/**
 * Plays a script with whole nodes: their disks, streams, restores and vaults, in virtual time.
 * Commands that scripts of the core have as well have the same names; see
 * `test/core/scenarios.test.ts`.
 *
 * - `nodes n1 n2 o1:observer option=value`, `start n1 n2`, `stop n1`, `kill n1`, `freeze n1 5000`
 * - `powerOff n1`, `powerOn n1`, `empty n1`: its disk is replaced by an empty one while it has no
 *   power
 * - `cut n1 n2`, `cut n1 > n2`, `heal`, `narrow n1 n2 20000 5000`: bytes a second, for so long
 * - `full n1`: its disk is full; `room n1`: it has space again
 * - `write n1 data/a 20 [local|standby|all]`: writes a file of this many bytes, and shows the
 *   outcome
 * - `load 20`: the active writes a small file every this many milliseconds; `load off` ends that
 *   and counts the outcomes
 * - `switchover n1 n2`, `takeOver n1 n2,n3`
 * - `run 3000`, `settle`: until one is active and all others are in sync with it
 * - `status`, `files`, `vault n1`
 */
import { createHash } from 'node:crypto'
import type { AckLevel } from '../../src/policy/class-options.js'
import { allCheckers } from '../../src/testing/simulator/checkers/index.js'
import type { WriteRecord } from '../../src/testing/simulator/record/writes.js'
import { missing } from '../../src/testing/simulator/recovery.js'
import { Workload } from '../../src/testing/simulator/workload.js'
import { World } from '../../src/testing/simulator/world.js'
import { answer, code } from './support.js'

/** Lines of the timeline that repeat commands of the script. */
const ofScript =
  /^(start|stop|kill|freeze|powerOff|powerOn|diskReplaced|cut>?|heal|narrow|write|takeOver|switchover)\b/

/** The script, with what happened after each of its commands. */
export async function play(text: string): Promise<string> {
  const player = new Player()
  const out: string[] = []
  for (const line of text.split('\n').filter((one) => !one.startsWith('  '))) {
    out.push(line)
    if (line === '' || line.startsWith('#')) continue
    const answers = await player.perform(line.split(' '))
    out.push(...[...player.takeHappened(), ...answers].map((what) => `  ${what}`))
  }
  player.end()
  return out.join('\n')
}

class Player {
  #given: World | undefined
  #happened: string[] = []
  #load: SteadyLoad | undefined
  /** Names for the ids of processes, in the order of their first appearance. */
  readonly #boots = new Map<string, string>()

  get #world(): World {
    if (this.#given === undefined) throw new Error('a script begins with nodes')
    return this.#given
  }

  async perform(words: readonly string[]): Promise<string[]> {
    const [verb = '', one = '', two = '', three = '', four = ''] = words
    switch (verb) {
      case 'nodes':
        this.#create(words.slice(1))
        return []
      case 'start':
        for (const id of words.slice(1)) this.#world.start(id)
        return []
      case 'stop':
        return [await answer(this.#world, this.#world.stop(one))]
      case 'kill':
      case 'powerOff':
      case 'powerOn':
        this.#world[verb](one)
        return []
      case 'empty':
        this.#world.replaceDisk(one)
        return []
      case 'freeze':
        this.#world.pauses.freeze(one, Number(two))
        return []
      case 'cut':
        this.#world.links.cut(one, two === '>' ? three : two, { oneWay: two === '>' })
        return []
      case 'heal':
        this.#world.links.heal()
        return []
      case 'narrow':
        this.#narrow(one, two, Number(three), Number(four))
        return []
      case 'full':
      case 'room':
        this.#world.machine(one).storage.faults.full = verb === 'full'
        return []
      case 'write':
        return [await this.#write(one, two, Number(three), four)]
      case 'load':
        return await this.#setLoad(one)
      case 'switchover':
        return [await answer(this.#world, this.#world.process(one).node.switchover({ to: two }))]
      case 'takeOver':
        return [await this.#takeOver(one, two.split(','))]
      case 'run':
        await this.#world.run(Number(one))
        return []
      case 'settle':
        return [await this.#settle()]
      case 'status':
        return this.#world.describe().split('\n')
      case 'files':
        return this.#files()
      case 'vault':
        return await this.#vault(one)
      default:
        throw new Error(`no such line: ${words.join(' ')}`)
    }
  }

  /** What nodes reported since the last call. */
  takeHappened(): string[] {
    return this.#happened.splice(0)
  }

  /** Throws if a promise was broken, and ends the world. */
  end(): void {
    const { members, violations } = this.#world
    if (violations.length > 0) throw new Error(JSON.stringify(violations))
    for (const { id } of members) this.#world.kill(id)
  }

  #create(words: readonly string[]): void {
    const choices: Record<string, unknown> = {}
    const observers: string[] = []
    let nodes = 0
    for (const word of words) {
      const [name = '', value] = word.split('=')
      if (value !== undefined) choices[name] = /^\d+$/.test(value) ? Number(value) : value
      else nodes += 1
      if (name.endsWith(':observer')) observers.push(name.slice(0, -':observer'.length))
    }
    const verbose = (line: string): void => this.#note(line)
    this.#given = new World({ seed: 1, nodes, observers, choices, verbose })
    this.#given.check(...allCheckers)
  }

  #note(line: string): void {
    const [, at = '', node = '', what = ''] = /^ *([\d.]+) (\S+) (.*)$/.exec(line) ?? []
    if (ofScript.test(what)) return
    this.#happened.push(
      `${Math.round(Number(at)).toString().padStart(6)} ${node} ${this.#plain(what)}`,
    )
  }

  /** Replaces ids that mean nothing to a reader. */
  #plain(what: string): string {
    for (const [, node = '', boot = ''] of what.matchAll(
      /"nodeId":"(\w+)","bootId":"([0-9a-f]{16})"/g,
    )) {
      const before = [...this.#boots.values()].filter((name) => name.startsWith(`${node}.`))
      if (!this.#boots.has(boot)) this.#boots.set(boot, `${node}.${before.length + 1}`)
    }
    const named = what.replaceAll(/[0-9a-f]{16}/g, (boot) => this.#boots.get(boot) ?? boot)
    const role = /^role (\{.*\})$/.exec(named)?.[1]
    if (role === undefined) return named
    const { role: to, reason } = JSON.parse(role) as { role: string; reason: string }
    return `${to} (${reason})`
  }

  #narrow(one: string, other: string, bytesPerSecond: number, forMs: number): void {
    this.#world.links.degrade(one, other, 'narrow', { bytesPerSecond }, forMs)
  }

  async #write(id: string, path: string, length: number, ack: string): Promise<string> {
    const world = this.#world
    const action = { kind: 'put', path, bytes: new Uint8Array(length).fill(1) } as const
    const level = (ack === '' ? 'standby' : ack) as AckLevel
    const record = new Workload(world).write(world.process(id), action, {
      ack: level,
      durability: 'disk',
    })
    await world.until(() => record.outcome.kind !== 'open', 60_000)
    return outcomeOf(record)
  }

  async #setLoad(every: string): Promise<string[]> {
    if (every !== 'off') {
      this.#load = new SteadyLoad(this.#world, Number(every))
      return []
    }
    const counts = (await this.#load?.end()) ?? new Map<string, number>()
    this.#load = undefined
    return [...counts].map(([outcome, count]) => `${count} ${outcome}`)
  }

  async #takeOver(id: string, withoutPeers: readonly string[]): Promise<string> {
    this.#world.excuse('takeOver', id)
    return await answer(this.#world, this.#world.process(id).node.takeOver({ withoutPeers }))
  }

  async #settle(): Promise<string> {
    const world = this.#world
    const came = await world.until(() => missing(world) === undefined, 60_000)
    return came ? `in step at ${Math.round(world.nowMs)}` : `${missing(world)}`
  }

  /** The synced files on each disk: equal hashes are equal files. */
  #files(): string[] {
    return [...this.#world.machines.values()].map(({ id, storage }) => {
      const hash = createHash('sha256')
      const paths = storage.outside.list().filter(isSynced)
      for (const path of paths) hash.update(path).update(storage.outside.read(path) ?? '')
      return `${id} ${paths.length} files ${hash.digest('hex').slice(0, 8)}`
    })
  }

  async #vault(id: string): Promise<string[]> {
    const incidents = await this.#world.process(id).node.vault.list()
    return incidents.flatMap(({ reason, changes, files }) => [
      `${reason}: ${files.length} files, ${changes.length} changes`,
      ...changes.map(({ epoch, seq, kind, paths, acknowledged }) =>
        this.#plain(`  ${epoch}/${seq} ${kind} ${paths.join()} acknowledged ${acknowledged}`),
      ),
    ])
  }
}

function outcomeOf(record: WriteRecord): string {
  const { outcome } = record
  if (outcome.kind !== 'acknowledged') return code(record)
  const { position, ack, degraded } = outcome.receipt
  const how = degraded ? `${ack}, degraded` : ack
  return `acknowledged at ${position.term.epoch}/${position.seq} (${how})`
}

function isSynced(path: string): boolean {
  return path.startsWith('data/') && !path.endsWith('.own')
}

/** Writes at a steady rate on the node that is active at the time. */
class SteadyLoad {
  readonly #world: World
  readonly #everyMs: number
  readonly #records: WriteRecord[] = []
  #isEnded = false

  constructor(world: World, everyMs: number) {
    this.#world = world
    this.#everyMs = everyMs
    this.#next()
  }

  /** The number of writes by outcome, after all that can be settled are settled. */
  async end(): Promise<Map<string, number>> {
    this.#isEnded = true
    const isOpen = ({ outcome, process }: WriteRecord): boolean =>
      outcome.kind === 'open' && process.alive
    await this.#world.until(() => !this.#records.some(isOpen), 60_000)
    const counts = new Map<string, number>()
    for (const record of this.#records) {
      const outcome = record.outcome.kind === 'open' ? 'ended with their process' : code(record)
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    }
    return counts
  }

  #next(): void {
    if (this.#isEnded) return
    const [active] = this.#world.actives()
    if (active !== undefined) {
      const at = this.#records.length
      const bytes = new Uint8Array(100).fill(at)
      const action = { kind: 'put', path: `data/${at % 10}`, bytes } as const
      const options = { ack: 'standby', durability: 'disk' } as const
      const load = new Workload(this.#world)
      this.#records.push(load.write(this.#world.process(active), action, options))
    }
    this.#world.later(this.#everyMs, () => this.#next())
  }
}
