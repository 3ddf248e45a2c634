/**
 * Golden scenarios: each file in test/scenarios is a script and what came of it.
 * `UPDATE_SCENARIOS=1 npx vitest run test/core/scenarios.test.ts` writes the results anew; read the
 * difference before keeping it.
 *
 * A script's lines: `nodes n1 n2 o1:observer option=value`, `start n1`, `kill n1`,
 * `freeze n1 5000`, `cut n1 n2`, `cut n1 > n2`, `heal n1 n2`, `heal`, `write n1 5`, `run 3000`,
 * `switchover n1 [n2]`, `stop n1`, `takeOver n1 n2,n3`, `set n1 lagging|closed|open|prompt`,
 * `empty n1` (its disk, while it does not run), `fetches n1 12000` (how long what it lacks takes),
 * `status`, `explain n1`. What happened follows each line, indented.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { explain } from '../../src/core/step.js'
import { emptyDisk, replaceDisk } from './disks.js'
import { World } from './world.js'
import type { WorldOptions } from './world-types.js'

const folder = new URL('../scenarios/', import.meta.url)

describe('golden scenarios', () => {
  for (const name of readdirSync(folder)
    .filter((file) => file.endsWith('.txt'))
    .sort()) {
    const file = new URL(name, folder)
    const text = readFileSync(file, 'utf8')
    // The first line of a file is its title, with the requirement that it shows.
    it(text.split('\n')[0]?.replace(/^# /, '') ?? name, () => {
      const result = play(text)
      if (process.env.UPDATE_SCENARIOS === '1') writeFileSync(file, result)
      else expect(result).toBe(text)
    })
  }
})

/** The script again, with what happened after each of its lines. */
function play(text: string): string {
  const script = text.split('\n').filter((line) => !line.startsWith('  '))
  let world: World | undefined
  const out: string[] = []
  for (const line of script) {
    out.push(line)
    const words = line.split(' ')
    if (line === '' || line.startsWith('#')) continue
    if (words[0] === 'nodes') {
      world = create(words.slice(1))
      continue
    }
    if (world === undefined) throw new Error('a script begins with nodes')
    const said = perform(world, words)
    for (const one of world.said) {
      said.push(`${String(one.atMs - 1_000).padStart(6)} ${one.node} ${one.what}`)
    }
    world.said = []
    out.push(...said.map((what) => `  ${what}`))
  }
  return out.join('\n')
}

function create(words: readonly string[]): World {
  const options: Record<string, unknown> = {}
  const members: { id: string; promotable: boolean }[] = []
  for (const word of words) {
    const [name = '', value] = word.split('=')
    if (value !== undefined) options[name] = /^\d+$/.test(value) ? Number(value) : value
    else members.push({ id: name.split(':')[0] ?? '', promotable: !name.endsWith(':observer') })
  }
  return new World([], { ...(options as WorldOptions), members })
}

/** Carries one line out; what it answers at once is returned. */
function perform(world: World, words: readonly string[]): string[] {
  const [verb = '', one = '', two = '', three = ''] = words
  switch (verb) {
    case 'start':
      world.start(one)
      break
    case 'kill':
      world.kill(one)
      break
    case 'freeze':
      world.freeze(one, Number(two))
      break
    case 'cut':
      if (two === '>') world.cutLink(one, three, false)
      else world.cutLink(one, two)
      break
    case 'heal':
      if (one === '') world.cuts.clear()
      else world.heal(one, two)
      break
    case 'write':
      return writes(world, one, Number(two))
    case 'run':
      world.run(Number(one))
      break
    case 'switchover':
      world.command(one, { name: 'switchover', to: two === '' ? undefined : two })
      break
    case 'stop':
      world.command(one, { name: 'stop' })
      break
    case 'takeOver':
      world.command(one, { name: 'takeOver', withoutPeers: two.split(',') })
      break
    case 'set':
      change(world, one, two)
      break
    case 'empty':
      replaceDisk(world, one, emptyDisk())
      break
    case 'fetches':
      world.node(one).fetchMs = Number(two)
      break
    case 'status':
      return world.describe().split('\n')
    case 'explain':
      return explain(world.node(one).core).map(
        ({ rule, outcome, inputs }) => `${rule}: ${outcome} ${JSON.stringify(inputs)}`,
      )
    default:
      throw new Error(`no such line: ${words.join(' ')}`)
  }
  return []
}

function writes(world: World, id: string, count: number): string[] {
  let done = 0
  for (let at = 0; at < count; at += 1) if (world.write(id)) done += 1
  return [`${done} of ${count} accepted`]
}

function change(world: World, id: string, what: string): void {
  const node = world.node(id)
  if (what === 'lagging' || what === 'prompt') node.lagging = what === 'lagging'
  else if (what === 'open' || what === 'closed') node.gateOpen = what === 'open'
  else throw new Error(`nothing to set: ${what}`)
}
