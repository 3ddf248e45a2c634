/** Where what a restore brought lies until the switch. */

import type { ObjectArea, ObjectStore } from '../../interfaces/object-store.js'
import { inBatches } from '../../util/in-batches.js'

/** The areas that restores write to. */
export const stagingAreas: readonly ObjectArea[] = ['staging', 'incoming']

/** An object in one of them. */
export interface Place {
  readonly area: ObjectArea
  readonly name: string
}

/** Where a file lies: in `incoming`, under its path, unless it is an object of `staging`. */
export function placeOf(file: {
  readonly path: string
  readonly object: string | undefined
}): Place {
  const { object, path } = file
  return object === undefined ? { area: 'incoming', name: path } : { area: 'staging', name: object }
}

/** Makes what lies there durable. */
export async function syncPlaces(objects: ObjectStore, places: readonly Place[]): Promise<void> {
  for (const area of stagingAreas) {
    const names = places.filter((place) => place.area === area).map(({ name }) => name)
    if (names.length > 0) await objects.sync(area, names)
  }
}

/** Objects that are removed in one call. */
const removedTogether = 4096

async function remove(
  objects: ObjectStore,
  area: ObjectArea,
  names: readonly string[],
): Promise<void> {
  for (const batch of inBatches(names, removedTogether)) await objects.remove(area, batch)
}

/**
 * Removes what lies in an area and is not wanted there, so that no crash brings it back: out of
 * `incoming` whole folders are moved into the tree.
 */
export async function keepOnly(
  objects: ObjectStore,
  area: ObjectArea,
  isWanted: (name: string) => boolean,
): Promise<void> {
  const names = (await objects.list(area)).map(({ name }) => name)
  const unwanted = names.filter((name) => !isWanted(name))
  if (unwanted.length === 0) return
  await remove(objects, area, unwanted)
  await objects.sync(area, unwanted)
}

/** Removes everything that restores brought. */
export async function clearAreas(objects: ObjectStore): Promise<void> {
  for (const area of stagingAreas) {
    const names = (await objects.list(area)).map(({ name }) => name)
    await remove(objects, area, names)
  }
}
