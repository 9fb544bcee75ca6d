export const cleanText = (text: string): string => text.replace(/\s+/g, " ").trim()
