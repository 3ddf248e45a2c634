/**
 * The order of the house: who may import whom. It is read from the files, so that it holds for new
 * ones, too.
 */
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Room, rooms } from './rooms.js'
import { filesBelow, hasReadme, importsOf, textOf } from './sources.js'

const files = filesBelow('src')
const imports = new Map(files.map((file) => [file, importsOf(file)]))
/** Only adapters and test kits touch files, sockets, threads and processes. */
const system =
  /^node:(net|tls|dgram|http|https|http2|fs|fs\/promises|worker_threads|child_process|cluster)$/

function roomOf(file: string): Room {
  const path = file.slice('src/'.length)
  const own = rooms.filter((room) => path === room.path || path.startsWith(`${room.path}/`))
  const [room] = own.sort((a, b) => b.path.length - a.path.length)
  if (room === undefined)
    throw new Error(`${file} is in no room: give it one in test/tidy/rooms.ts`)
  return room
}

function mayImport(from: Room, to: Room): boolean {
  if (from === to) return true
  if (from.only !== undefined) return from.only.includes(to.path)
  return rooms.indexOf(to) < rooms.indexOf(from)
}

describe('the rooms of src', () => {
  it('each have a file', () => {
    const used = new Set(files.map(roomOf))
    expect(rooms.filter((room) => !used.has(room))).toEqual([])
  })

  it('open with a README, each folder of src', () => {
    const folders = new Set(files.map((file) => file.split('/').slice(0, 2).join('/')))
    const without = [...folders].filter((folder) => !folder.endsWith('.ts') && !hasReadme(folder))
    expect(without).toEqual([])
  })

  it('hold at most 15 files', () => {
    const counts = new Map<string, number>()
    for (const file of files) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1)
    expect([...counts].filter(([, count]) => count > 15)).toEqual([])
  })

  it('are all in CONTRIBUTING.md, which has no other', () => {
    const table = textOf('CONTRIBUTING.md').split('## The rooms')[1]?.split('\n## ')[0] ?? ''
    const cells = table.split('\n').flatMap((line) => /^\| (`.*?) \|/.exec(line)?.[1] ?? [])
    const named = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, path]) => path))
    expect(named.sort()).toEqual(rooms.map(({ path }) => path).sort())
  })

  it('import only from the rooms below them', () => {
    const wrong: string[] = []
    for (const [file, targets] of imports) {
      for (const target of targets.filter((one) => one.startsWith('src/'))) {
        if (!mayImport(roomOf(file), roomOf(target))) wrong.push(`${file} imports ${target}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('leave files, sockets, threads and processes to the adapters', () => {
    const wrong: string[] = []
    for (const [file, targets] of imports) {
      if (roomOf(file).touchesSystem === true) continue
      for (const target of targets) if (system.test(target)) wrong.push(`${file}: ${target}`)
    }
    expect(wrong).toEqual([])
  })

  it('keep the core pure: it imports no package and no module of Node', () => {
    const outside = files
      .filter((file) => file.startsWith('src/core/'))
      .flatMap((file) => imports.get(file)?.filter((target) => !target.startsWith('src/')))
    expect(outside).toEqual([])
  })

  it('have no circle of imports, not even of types', () => {
    expect(circleIn(imports)).toEqual([])
  })
})

/** One circle, as the files on its way; nothing where there is none. */
function circleIn(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const way: string[] = []
  const visit = (file: string): string[] => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file]
    if (done.has(file)) return []
    way.push(file)
    for (const target of graph.get(file) ?? []) {
      const circle = visit(target)
      if (circle.length > 0) return circle
    }
    way.pop()
    done.add(file)
    return []
  }
  for (const file of graph.keys()) {
    const circle = visit(file)
    if (circle.length > 0) return circle
  }
  return []
}
