import { describe, expect, it } from 'vitest'
import { HotspareError } from '../../src/errors.js'
import { appState } from '../../src/policy/kinds/app-state.js'
import { neverSynced } from '../../src/policy/kinds/never-synced.js'
import { synced } from '../../src/policy/kinds/synced.js'
import type { ClassDeclaration } from '../../src/policy/kinds/table.js'
import { classesMax, SyncPolicy } from '../../src/policy/sync-policy.js'

const state = () => appState({ snapshot: () => 0, restore: () => undefined, apply: () => 0 })

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    return HotspareError.is(error) ? error.code : (error as Error).name
  }
  return 'no error'
}

describe('declarations', () => {
  it('have the documented defaults', () => {
    expect(synced('a')).toEqual({
      kind: 'synced',
      globs: ['a'],
      ack: 'standby',
      durability: 'disk',
    })
    expect(state()).toMatchObject({ kind: 'appState', ack: 'standby', durability: 'disk' })
    expect(neverSynced('a', { reason: 'mine' })).toEqual({
      kind: 'neverSynced',
      globs: ['a'],
      reason: 'mine',
    })
  })

  it('take options', () => {
    expect(synced('a', { ack: 'all', durability: 'memory' })).toMatchObject({
      ack: 'all',
      durability: 'memory',
    })
  })

  it.each([
    ['an unknown level', () => synced('a', { ack: 'most' as 'all' }), 'OPTION_INVALID'],
    ['unknown durability', () => synced('a', { durability: 'ssd' as 'disk' }), 'OPTION_INVALID'],
    ['an empty reason', () => neverSynced('a', { reason: ' ' }), 'OPTION_INVALID'],
    ['no reason', () => neverSynced('a', {} as { reason: string }), 'TypeError'],
    ['a missing hook', () => appState({} as never), 'TypeError'],
    [
      'an async snapshot',
      () => appState({ snapshot: async () => 0, restore() {}, apply: () => 0 }),
      'TypeError',
    ],
    [
      'an async apply',
      () => appState({ snapshot: () => 0, restore() {}, apply: async () => 0 }),
      'TypeError',
    ],
    [
      'a position that is no function',
      () => appState({ snapshot: () => 0, restore() {}, apply: () => 0, position: 1 } as never),
      'TypeError',
    ],
    ['a bad glob', () => synced('../x'), 'OPTION_INVALID'],
  ])('refuse %s', (_, action, code) => {
    expect(codeOf(action)).toBe(code)
  })

  it('call hooks as methods of what was given', async () => {
    class Counter {
      count = 0
      snapshot() {
        return this.count
      }
      restore(snapshot: unknown) {
        this.count = snapshot as number
      }
      apply(by: number, position: { seq: number }) {
        this.count += by
        return this.count * 100 + position.seq
      }
      position() {
        return { epoch: 1, seq: this.count }
      }
    }
    const declaration = appState(new Counter())
    expect(declaration.apply(2, { epoch: 1, seq: 5 })).toBe(205)
    await declaration.restore(7)
    expect(declaration.snapshot()).toBe(7)
    expect(await declaration.position?.()).toEqual({ epoch: 1, seq: 7 })
    expect(state().position).toBeUndefined()
  })
})

describe('SyncPolicy', () => {
  const policy = new SyncPolicy({
    messages: synced('messages/**'),
    data: synced(['data/**', '!data/tmp/**']),
    config: state(),
    local: neverSynced(['properties.txt', 'logs/**'], { reason: 'differs per machine' }),
  })

  it('SYN-7: holds classes of each kind side by side', () => {
    expect(policy.names()).toEqual(['messages', 'data', 'config', 'local'])
    expect(policy.fileClasses().map(({ name }) => name)).toEqual(['messages', 'data', 'local'])
    expect(policy.stateClasses().map(({ name }) => name)).toEqual(['config'])
    expect(policy.get('config')?.kind).toBe('appState')
    expect(policy.get('constructor')).toBeUndefined()
    expect(policy.classes.config.apply('x', { epoch: 1, seq: 1 })).toBe(0)
  })

  it.each([
    ['messages/1.txt', 'messages'],
    ['messages/deep/er/1.txt', 'messages'],
    ['data/x', 'data'],
    ['data/tmp/x', undefined],
    ['logs/a.log', 'local'],
    ['properties.txt', 'local'],
    ['other.txt', undefined],
    ['messages/a:b', undefined],
    ['.hotspare/meta', undefined],
  ])('knows the class of %s', (path, name) => {
    expect(policy.classOf(path)?.name).toBe(name)
    expect(policy.classOf(path)?.name).toBe(name)
  })

  it('never lets a class reach into its own directory', () => {
    const everything = new SyncPolicy({ all: synced('**') })
    expect(everything.classOf('.hotspare/meta')).toBeUndefined()
    expect(everything.classOf('a/.hotspare')?.name).toBe('all')
  })

  it('refuses two classes that claim one path, naming both and how to part them', () => {
    const build = () =>
      new SyncPolicy({
        data: synced('data/**'),
        temporary: neverSynced('data/tmp/**', { reason: 'scratch' }),
      })
    expect(codeOf(build)).toBe('POLICY_CONFLICT')
    expect(build).toThrow(/'data' and 'temporary' both claim 'data\/tmp'.*'!data\/tmp\/\*\*'/)
    const parted = new SyncPolicy({
      data: synced(['data/**', '!data/tmp/**']),
      temporary: neverSynced('data/tmp/**', { reason: 'scratch' }),
    })
    expect(parted.classOf('data/tmp/x')?.name).toBe('temporary')
    expect(parted.classOf('data/x')?.name).toBe('data')
  })

  it('refuses at run time what it could not prove before, every time', () => {
    const unproven = new SyncPolicy({ one: synced('[ab].txt'), two: synced('?.txt') })
    expect(unproven.classOf('c.txt')?.name).toBe('two')
    for (let round = 0; round < 2; round += 1) {
      expect(codeOf(() => unproven.classOf('a.txt'))).toBe('POLICY_CONFLICT')
      expect(() => unproven.classOf('a.txt')).toThrow(/'one' and 'two' both claim 'a.txt'/)
    }
  })

  it('refuses declarations that are none', () => {
    const build = (classes: unknown) => codeOf(() => new SyncPolicy(classes as never))
    expect(build(undefined)).toBe('TypeError')
    expect(build({ a: 'messages/**' })).toBe('TypeError')
    expect(build({ a: null })).toBe('TypeError')
    expect(build({ a: { kind: 'other' } })).toBe('TypeError')
    expect(build({ a: { kind: 'synced', globs: ['/x'], ack: 'all', durability: 'disk' } })).toBe(
      'OPTION_INVALID',
    )
    expect(build({ a: { kind: 'synced', globs: ['x'], ack: 'no', durability: 'disk' } })).toBe(
      'OPTION_INVALID',
    )
  })

  it.each(['', '1a', 'a b', 'a/b', '_x', 'ä', 'x'.repeat(65)])('refuses the name %j', (name) => {
    expect(codeOf(() => new SyncPolicy({ [name]: synced('a') }))).toBe('OPTION_INVALID')
  })

  it('has a limit of classes', () => {
    const classes: Record<string, ClassDeclaration> = {}
    for (let at = 0; at <= classesMax; at += 1) classes[`c${at}`] = synced(`c${at}/**`)
    expect(codeOf(() => new SyncPolicy(classes))).toBe('OPTION_INVALID')
    delete classes.c0
    expect(new SyncPolicy(classes).names()).toHaveLength(classesMax)
  })
})

describe('fingerprints', () => {
  const of = (declaration: ClassDeclaration) => new SyncPolicy({ x: declaration }).fingerprints().x

  it('are stable, because nodes of two versions compare them', () => {
    expect(new SyncPolicy({ x: synced('messages/**'), y: state() }).fingerprints()).toEqual({
      x: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
      y: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    })
    expect(of(synced('messages/**'))).toMatchInlineSnapshot(`"ed3ca7bc41586478"`)
    expect(of(state())).toMatchInlineSnapshot(`"4942ed88d79e5dda"`)
  })

  it('are equal where data is treated alike', () => {
    expect(of(synced(['a', 'b/**', 'a']))).toBe(of(synced(['b\\**', 'a'])))
    expect(of(synced('a', { ack: 'all' }))).toBe(of(synced('a', { ack: 'local' })))
  })

  it('differ where it is not', () => {
    const all = [
      synced('a'),
      synced('b'),
      synced(['a', 'b']),
      synced(['a', '!b']),
      synced('a', { durability: 'memory' }),
      state(),
    ].map(of)
    expect(new Set(all).size).toBe(all.length)
  })

  it('leave out what a machine keeps to itself', () => {
    expect(of(neverSynced('a', { reason: 'mine' }))).toBeUndefined()
  })
})
