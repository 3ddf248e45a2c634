import { describe, expect, it } from 'vitest'
import type { MemoryOperation } from '../../src/storage/memory.js'
import type { World } from '../../src/testing/simulator/world.js'
import { allIsWell, inStep, noViolation, quit, settled, until } from './support.js'

// What the application reads on a node while a restore switches.

const paths = Array.from({ length: 12 }, (_, at) => `data/f${at}`)
const old = 'O'.repeat(10)
const fresh = 'N'.repeat(300_000)

/**
 * A world where n2 is stopped with old files, and gets the new ones by a delta restore when it
 * starts.
 */
async function behind(): Promise<World> {
  const world = await settled({ nodes: 2 })
  const { files } = world.process('n1').node
  for (const path of paths) await world.settle(files.write(path, old))
  await inStep(world)
  await world.settle(world.stop('n2'))
  for (const path of paths) await world.settle(files.write(path, fresh))
  // A file that was added by hand makes a restore necessary, because the journal alone does not
  // repair it.
  world.machine('n2').storage.outside.write('data/planted', new Uint8Array(3))
  await world.run(500)
  return world
}

/** Makes the operations of a switch take this long on n2. */
function slowSwitch(world: World, ms: number): void {
  const slow: readonly MemoryOperation[] = [
    ...(['tree.takeIn', 'tree.apply', 'tree.sync', 'tree.stat'] as const),
    ...(['documents.write', 'logs.replace'] as const),
  ]
  world.machine('n2').storage.faults.latency = (operation) => (slow.includes(operation) ? ms : 1)
}

function nameOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString()
  if (text === old) return 'old'
  return text === fresh ? 'new' : `torn: ${text.length} bytes '${text.slice(0, 12)}'`
}

describe('reads while a restore switches', () => {
  it('OPS-18: give the whole old version or the whole new one, with its size', {
    timeout: 30_000,
  }, async () => {
    const world = await behind()
    slowSwitch(world, 300)
    world.start('n2')
    const seen = new Set<string>()
    const answered: Promise<unknown>[] = []
    const note = (work: Promise<string>): void => {
      answered.push(
        work.catch((error: { code: string }) => error.code).then((what) => seen.add(what)),
      )
    }
    await until(world, () => world.process('n2').copy !== undefined)
    const { node } = world.process('n2')
    for (let step = 0; step < 200 && node.role !== 'standby'; step += 1) {
      await world.run(30)
      for (const path of [paths[0] ?? '', paths[11] ?? '']) {
        note(node.files.read(path).then(nameOf))
        note(
          node.files.readWithInfo(path).then(({ bytes, size }) => {
            return bytes.length === size ? nameOf(bytes) : `${bytes.length} of ${size} bytes`
          }),
        )
        note(
          node.files.stat(path).then((info) => {
            const sizes = new Map([
              [old.length, 'old'],
              [fresh.length, 'new'],
            ])
            return sizes.get(info?.size ?? -1) ?? `stat says ${info?.size}`
          }),
        )
        note(
          (async () => {
            const pieces: Uint8Array[] = []
            for await (const piece of node.files.readStream(path)) pieces.push(piece)
            return nameOf(Buffer.concat(pieces))
          })(),
        )
      }
    }
    expect(node.role).toBe('standby')
    await world.settle(Promise.all(answered))
    expect([...seen].sort()).toEqual(['new', 'old'])
    world.machine('n2').storage.faults.latency = undefined
    await allIsWell(world)
  })

  it('OPS-18: by a stream that began before end with an error instead of mixing two states', async () => {
    const long = 'P'.repeat(400_000)
    const world = await settled({ nodes: 2 })
    const { files } = world.process('n1').node
    for (const path of paths) await world.settle(files.write(path, long))
    await inStep(world)
    await world.settle(world.stop('n2'))
    for (const path of paths) await world.settle(files.write(path, fresh))
    world.machine('n2').storage.outside.write('data/planted', new Uint8Array(3))
    await world.run(500)
    slowSwitch(world, 50)
    world.start('n2')
    await until(world, () => world.process('n2').copy !== undefined)
    const { node } = world.process('n2')
    const stream = node.files.readStream('data/f5')
    const first = await world.settle(stream.next())
    expect(Buffer.from(first.value ?? []).toString()).toMatch(/^P+$/)
    await until(world, () => node.role === 'standby')
    await expect(world.settle(stream.next())).rejects.toMatchObject({ code: 'RESTORE_UNDER_WAY' })
    await allIsWell(world)
  })

  it('OPS-18: are refused while the switch waits for a failed disk, and after ten seconds of a slow one', async () => {
    const world = await behind()
    world.start('n2')
    await until(world, () => world.process('n2').copy !== undefined)
    const { faults } = world.machine('n2').storage
    const { node } = world.process('n2')
    faults.latency = (operation) => (operation === 'tree.takeIn' ? 25_000 : 1)
    await until(world, () => world.process('n2').copy?.files.switches === 1)
    const beganMs = world.nowMs
    const code = await world.settle(
      node.files.read('data/f0').then(nameOf, (error: { code: string }) => error.code),
    )
    expect(code).toBe('RESTORE_UNDER_WAY')
    expect(world.nowMs - beganMs).toBeGreaterThanOrEqual(10_000)
    expect(world.nowMs - beganMs).toBeLessThan(11_000)
    await until(world, () => node.role === 'standby', 60_000)
    const text = await world.settle(node.files.read('data/f0').then(nameOf))
    expect(text).toBe('new')
    noViolation(world)
    quit(world)
  })

  it('OPS-18: never report a file as missing while the first restore is running', async () => {
    const world = await settled({ nodes: 2 })
    const { files } = world.process('n1').node
    for (const path of paths) await world.settle(files.write(path, fresh))
    await inStep(world)
    await world.settle(world.stop('n2'))
    world.replaceDisk('n2')
    world.powerOn('n2')
    world.start('n2')
    await until(world, () => world.process('n2').node.role === 'restoring')
    const { node } = world.process('n2')
    const code = ({ code: what }: { code: string }): string => what
    const path = 'data/f0'
    const answers = Promise.all([
      node.files.read(path).then(nameOf, code),
      node.files.stat(path).then(() => 'an answer', code),
      node.files.list('data/').then(() => 'an answer', code),
      node.files
        .readStream(path)
        .next()
        .then(() => 'an answer', code),
    ])
    expect(await world.settle(answers)).toEqual(Array(4).fill('RESTORE_UNDER_WAY'))
    await until(world, () => node.role === 'standby')
    expect(await world.settle(node.files.read(path).then(nameOf))).toBe('new')
    await allIsWell(world)
  })

  it('OPS-18: tell whether there may already be a newer version', async () => {
    const world = await settled({ nodes: 2 })
    const marks = async (id: string): Promise<boolean[]> => {
      const { files } = world.process(id).node
      const read = await world.settle(files.readWithInfo('data/f0'))
      const stat = await world.settle(files.stat('data/f0'))
      const [listed] = await world.settle(files.list('data/'))
      return [read.stale, stat?.stale ?? true, listed?.stale ?? true]
    }
    await world.settle(world.process('n1').node.files.write('data/f0', old))
    await inStep(world)
    expect(await marks('n1')).toEqual([false, false, false])
    expect(await marks('n2')).toEqual([true, true, true])
    await world.settle(world.process('n1').node.switchover())
    await inStep(world)
    expect(await marks('n1')).toEqual([true, true, true])
    expect(await marks('n2')).toEqual([false, false, false])
    await allIsWell(world)
  })

  it('OPS-18: of a file that was changed by hand are refused before it is repaired', async () => {
    const world = await settled({ nodes: 2 })
    await world.settle(world.process('n1').node.files.write('data/f0', old))
    await inStep(world)
    await world.settle(world.stop('n2'))
    world.machine('n2').storage.outside.write('data/f0', Buffer.from('another, and longer'))
    world.start('n2')
    await until(world, () => world.process('n2').copy !== undefined)
    const { node } = world.process('n2')
    const read = async (): Promise<string> =>
      await world.settle(
        node.files.read('data/f0').then(nameOf, (error: { code: string }) => error.code),
      )
    expect(await read()).toBe('CHANGED_OUTSIDE')
    await until(world, () => node.role === 'standby')
    expect(await read()).toBe('old')
    await allIsWell(world)
  })
})
