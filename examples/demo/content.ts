/**
 * The content that the writers of the demo write. It follows from the writer and the number of the
 * write, so that the demo can determine from the disks alone whether an acknowledged write is
 * there.
 */

/** Number of files that each writer writes in turn. */
const slots = 100
const bytesMin = 256
const bytesMax = 8 * 1024

export function pathOf(writer: string, count: number): string {
  return `live/${writer}/${String(count % slots).padStart(3, '0')}.txt`
}

export function contentOf(writer: string, count: number): Buffer {
  const head = `${writer} ${count}\n`
  const bytes = bytesMin + ((count * 2_654_435_761) % (bytesMax - bytesMin))
  return Buffer.alloc(bytes, `${head}${'.'.repeat(count % 61)}`)
}

/** The write that a file's bytes are from; undefined when they are incomplete. */
export function countOf(writer: string, bytes: Buffer): number | undefined {
  const [name, count] = bytes.subarray(0, bytes.indexOf(10)).toString().split(' ')
  if (name !== writer || count === undefined) return undefined
  return contentOf(writer, Number(count)).equals(bytes) ? Number(count) : undefined
}
