/**
 * Promise 7: files that are never synced, or that no class claims, stay unchanged on each machine.
 */
import type { Machine } from '../../machine/machine.js'
import type { World } from '../../world.js'
import type { Checker, Report } from '../checker.js'

const planted = [
  ...['properties.txt', 'logs/server.log', 'elsewhere/notes.txt', 'data.txt'],
  // Files that are never synced, next to files that are synced.
  ...['data/near.own', 'data/deep/er/near.own'],
]

/** Puts local files onto every machine. Must be created before any node is started. */
export const untouched = (world: World, report: Report): Checker => {
  const content = (machine: Machine, path: string): string => `${path} of ${machine.id} alone`
  const plant = (machine: Machine): void => {
    for (const path of planted) {
      machine.storage.outside.write(path, new TextEncoder().encode(content(machine, path)))
    }
  }
  for (const machine of world.machines.values()) plant(machine)
  const look = (machine: Machine): void => {
    for (const path of planted) {
      const bytes = machine.storage.outside.read(path)
      const found = bytes === undefined ? undefined : new TextDecoder().decode(bytes)
      if (found !== content(machine, path))
        report(`${path} on ${machine.id} is now ${found ?? 'gone'}`)
    }
    for (const path of machine.storage.outside.list()) {
      const known = planted.includes(path) || /^(data|quick)\//.test(path)
      if (!known) report(`${path} appeared on ${machine.id}`)
    }
  }
  return {
    name: 'untouched',
    ending: ({ id }) => look(world.machine(id)),
    replaced: plant,
    quiet: () => {
      for (const machine of world.machines.values()) look(machine)
    },
  }
}
