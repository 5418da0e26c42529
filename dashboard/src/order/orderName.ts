/** A short name of an order, for people: the end of its id, which is random. */
export function orderName(id: string): string {
  return `No. ${id.slice(-6).toUpperCase()}`;
}
