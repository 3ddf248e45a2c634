/** The limit of the size of one file. */
import { HotspareError } from '../errors.js'

/**
 * Bytes of one file; a write that would make it longer is `WRITE_TOO_LARGE`. Common file systems
 * support it (ext4 ends slightly below 16 TiB). Without the limit, a change beyond what the disks
 * can store could be journaled, and then be applied nowhere.
 */
export const fileBytesMax: number = 2 ** 42

/** @throws `WRITE_TOO_LARGE` for a file that would be longer than {@link fileBytesMax} */
export function requireFileSize(path: string, bytes: number): void {
  if (bytes <= fileBytesMax) return
  throw new HotspareError(
    'WRITE_TOO_LARGE',
    `'${path}' would be longer than fileBytesMax = ${fileBytesMax}`,
    {
      details: { path, option: 'fileBytesMax', limit: fileBytesMax, actual: bytes },
      whatToDo: 'Spread the data over several files; the limit is fixed.',
    },
  )
}
