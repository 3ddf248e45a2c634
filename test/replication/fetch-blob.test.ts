import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { BlobRef } from '../../src/changes/change.js'
import type { OpenStorage } from '../../src/interfaces/storage.js'
import type { BulkClient } from '../../src/replication/bulk/client.js'
import { fetchBlob } from '../../src/replication/bulk/fetch-blob.js'
import { FetchProgress } from '../../src/replication/bulk/fetch-progress.js'
import type { BulkRequest } from '../../src/replication/bulk/messages.js'
import { memory } from '../../src/storage/memory.js'

const content = Uint8Array.from({ length: 200_000 }, (_, at) => (at * 7) % 251)
const blob = { id: 'b1', bytes: content.length, crc: crc32(content) } as BlobRef

/** A source that sends at most `bytesMax` bytes before the lane ends. */
function source(bytesMax: number, bytes = content): { bulk: BulkClient; asked: number[] } {
  const asked: number[] = []
  const request = (
    one: BulkRequest,
    take: (answer: { body: unknown; bytes: Uint8Array }) => unknown,
  ): Promise<unknown> => {
    if (one.op !== 'blob') throw new Error('only blobs')
    const end = one.offset + one.length
    if (end > bytesMax) return Promise.reject(new Error('the lane ended'))
    asked.push(one.offset)
    return Promise.resolve(take({ body: {}, bytes: bytes.subarray(one.offset, end) }))
  }
  return { bulk: { request, room: 64 * 1024 } as unknown as BulkClient, asked }
}

async function opened(): Promise<OpenStorage> {
  return await memory().open({ nodeId: 'n1', bootId: 'b' })
}

async function stored(storage: OpenStorage): Promise<Uint8Array> {
  return await storage.objects.read('blobs', blob.id, 0, content.length)
}

function counted(): { progress: FetchProgress; reached: FetchProgress['reached'] } {
  const progress = new FetchProgress()
  return { progress, reached: (thing, offset) => progress.reached(thing, offset) }
}

const { signal } = new AbortController()

describe('a blob that is fetched in several attempts', () => {
  it('the next attempt continues where the last one ended', async () => {
    const storage = await opened()
    const { progress, reached } = counted()
    await expect(fetchBlob(source(100_000).bulk, storage, blob, signal, reached)).rejects.toThrow(
      'the lane ended',
    )
    const before = progress.count
    expect(before).toBeGreaterThan(90_000)
    const { bulk, asked } = source(content.length)
    await fetchBlob(bulk, storage, blob, signal, reached)
    expect(asked[0]).toBe(before)
    expect(progress.count).toBe(content.length)
    expect(Buffer.compare(await stored(storage), content)).toBe(0)
  })

  it('damage of the first part is found at the end, and the whole blob is fetched again', async () => {
    const storage = await opened()
    const { progress, reached } = counted()
    const damaged = Uint8Array.from(content)
    damaged[5] = 0xff
    await expect(
      fetchBlob(source(100_000, damaged).bulk, storage, blob, signal, reached),
    ).rejects.toThrow()
    const whole = source(content.length)
    await expect(fetchBlob(whole.bulk, storage, blob, signal, reached)).rejects.toMatchObject({
      code: 'FRAME_CORRUPT',
    })
    expect(progress.count).toBe(content.length)
    const again = source(content.length)
    await fetchBlob(again.bulk, storage, blob, signal, reached)
    expect(again.asked[0]).toBe(0)
    expect(Buffer.compare(await stored(storage), content)).toBe(0)
    // Bytes that are fetched again are no progress, so that nodes do not wait for ever for a source
    // that sends damaged bytes.
    expect(progress.count).toBe(content.length)
  })

  it('after a failed sync the blob is written again, though it can be read and synced after a restart', async () => {
    const disk = memory()
    const owner = { nodeId: 'n1', bootId: 'b' }
    const before = await disk.open(owner)
    disk.faults.loseNextSync = true
    await expect(
      fetchBlob(source(content.length).bulk, before, blob, signal),
    ).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await before.close()
    await fetchBlob(source(content.length).bulk, await disk.open(owner), blob, signal)
    disk.crash({ number: () => 0, bytes: (count) => new Uint8Array(count) })
    expect(Buffer.compare(await stored(await disk.open(owner)), content)).toBe(0)
  })

  it('a blob that is complete and durable is not requested again', async () => {
    const storage = await opened()
    await fetchBlob(source(content.length).bulk, storage, blob, signal)
    const { bulk, asked } = source(content.length)
    await fetchBlob(bulk, storage, blob, signal)
    expect(asked).toEqual([])
  })
})
