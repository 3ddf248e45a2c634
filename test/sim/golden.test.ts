/**
 * Golden scenarios of whole nodes: each file in test/scenarios/nodes is a script with its results.
 * `UPDATE_SCENARIOS=1 npx vitest run test/sim/golden.test.ts` writes the results again; read the
 * difference before keeping it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { play } from './golden.js'

const folder = new URL('../scenarios/nodes/', import.meta.url)

describe('golden scenarios of whole nodes', () => {
  for (const name of readdirSync(folder).sort()) {
    const file = new URL(name, folder)
    const text = readFileSync(file, 'utf8')
    // The first line of a file is its title, with the id of the requirement.
    it(text.split('\n')[0]?.replace(/^# /, '') ?? name, async () => {
      const result = await play(text)
      if (process.env.UPDATE_SCENARIOS === '1') writeFileSync(file, result)
      else expect(result).toBe(text)
    })
  }
})
