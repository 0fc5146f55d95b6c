// Fills the month words of an example's variables, so that "next quarter" means the one after today.
const month = (year, index) => new Date(Date.UTC(year, index, 1)).toISOString().slice(0, 7)

export function months(text, today) {
  const year = today.getFullYear()
  const current = today.getMonth()
  const quarter = Math.floor(current / 3) * 3 + 3
  const words = {
    thisMonth: month(year, current),
    thisYearFirst: month(year, 0),
    thisYearLast: month(year, 11),
    nextQuarterFirst: month(year, quarter),
    nextQuarterLast: month(year, quarter + 2),
    nextMarch: month(current > 2 ? year + 1 : year, 2),
  }
  return text.replace(/\{(\w+)\}/g, (whole, word) => words[word] ?? whole)
}
