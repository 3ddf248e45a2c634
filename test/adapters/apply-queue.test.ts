import { describe, expect, test } from 'vitest'
import { ApplyQueue } from '../../src/storage/directory/engine/apply-queue.js'

/** A call that pauses several times, and logs its begin and end. */
function* task(name: string, pauses: number, log: string[]): Generator<void, string> {
  log.push(`${name} begins`)
  for (let pause = 0; pause < pauses; pause += 1) yield
  log.push(`${name} ends`)
  return name
}

describe('calls that change the tree', () => {
  test('a call that does not pause is completed at once', () => {
    const log: string[] = []
    expect(new ApplyQueue().run(['a'], task('one', 0, log))).toBe('one')
    expect(log).toEqual(['one begins', 'one ends'])
  })

  test('a call overtakes a paused one only when they share no path', async () => {
    const queue = new ApplyQueue()
    const log: string[] = []
    const results = [
      queue.run(['big/file', 'x'], task('large', 20, log)),
      queue.run(['big/file'], task('same path', 0, log)),
      queue.run(['other'], task('free', 0, log)),
      queue.run(['big'], task('its folder', 0, log)),
      queue.run(['x/below'], task('below it', 0, log)),
      queue.run(['bigger', 'bi', 'xx/y'], task('alike', 0, log)),
    ]
    expect(await Promise.all(results)).toEqual([
      'large',
      'same path',
      'free',
      'its folder',
      'below it',
      'alike',
    ])
    const end = log.indexOf('large ends')
    for (const free of ['free', 'alike']) expect(log.indexOf(`${free} ends`)).toBeLessThan(end)
    for (const waiting of ['same path', 'its folder', 'below it']) {
      expect(log.indexOf(`${waiting} begins`)).toBeGreaterThan(end)
    }
  })

  test('a call also waits for a call that waits itself', async () => {
    const queue = new ApplyQueue()
    const log: string[] = []
    await Promise.all([
      queue.run(['a'], task('first', 10, log)),
      queue.run(['a', 'b'], task('second', 3, log)),
      queue.run(['b'], task('third', 0, log)),
    ])
    const order = ['first', 'second', 'third'].flatMap((name) => [`${name} begins`, `${name} ends`])
    expect(log).toEqual(order)
  })

  test('a failed call does not block later ones', async () => {
    const queue = new ApplyQueue()
    const log: string[] = []
    function* failing(): Generator<void, never> {
      yield
      throw new Error('no space')
    }
    const failed = queue.run(['a'], failing())
    const next = queue.run(['a'], task('next', 2, log))
    await expect(failed).rejects.toThrow('no space')
    expect(await next).toBe('next')
    function* failingAtOnce(pauses: number): Generator<void, never> {
      for (let pause = 0; pause < pauses; pause += 1) yield
      throw new Error('at once')
    }
    expect(() => queue.run(['a'], failingAtOnce(0))).toThrow('at once')
    expect(queue.run(['a'], task('last', 0, log))).toBe('last')
  })

  test('thousands of waiting calls run one after the other', async () => {
    const queue = new ApplyQueue()
    const log: string[] = []
    const calls = [queue.run(['a'], task('first', 1, []))]
    for (let call = 0; call < 3000; call += 1) calls.push(queue.run(['a'], task(`${call}`, 0, log)))
    await Promise.all(calls)
    expect(log.filter((line) => line.endsWith('ends'))).toEqual(
      Array.from({ length: 3000 }, (_, call) => `${call} ends`),
    )
  })
})
