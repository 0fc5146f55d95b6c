"""The words that the demo company is made of: first and last names, business units, projects. All of it is invented."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from server.seed.demo import dice

UNITS = (
    ("DATA", "Data et décisionnel"),
    ("DEV", "Développement"),
    ("CONSEIL", "Conseil"),
    ("INFRA", "Infrastructure et cloud"),
    ("DESIGN", "Design et ergonomie"),
    ("SECU", "Cybersécurité"),
    ("PILOTAGE", "Pilotage de projets"),
    ("SUPPORT", "Fonctions support"),
)

_FIRST = """
    Adèle Agathe Alexandre Alice Amandine Amélie Anaïs André Antoine Arthur Aurélie Aurélien Baptiste Bastien
    Béatrice Benoît Bérénice Camille Caroline Catherine Cécile Cédric Céline Charlotte Chloé Christophe Claire Clara
    Clémence Clément Corentin Damien David Delphine Denis Diane Édouard Élise Élodie Émilie Emma Éric Estelle
    Étienne Eva Fabien Fanny Florence Florian François Gabriel Gaëlle Guillaume Hélène Hugo Inès Isabelle Jeanne
    Jérémy Jérôme Jules Julie Julien Karim Laure Laurent Léa Léo Lina Louis Louise Lucas Lucie Malik Manon Marc
    Margaux Marie Mathilde Maxime Mehdi Nadia Nathalie Nicolas Noémie Olivier Pauline Paul Pierre Quentin Raphaël
    Romain Sabrina Salomé Samuel Sarah Simon Sofia Stéphanie Sylvain Théo Thomas Valentin Valérie Victor Vincent
    Yanis Yasmine Zoé
"""
_LAST = """
    Adam Albert André Arnaud Aubert Aubry Bailly Barbier Baron Barre Benoit Berger Bernard Bertin Bertrand Besson
    Blanc Blanchard Boucher Boulanger Bourgeois Bouvier Boyer Breton Brun Brunet Camus Carlier Caron Carpentier
    Chauvin Chevalier Clément Colin Collet Cordier Cousin Da-Silva David Delattre Delaunay Deschamps Devaux Diallo
    Didier Dubois Dufour Dumas Dumont Dupont Dupuis Durand Étienne Evrard Fabre Faure Fernandez Fleury Fontaine
    Fournier François Gaillard Garcia Garnier Gauthier Gautier Gérard Germain Gilbert Girard Giraud Gomez Guérin
    Guillot Guyot Hamon Henry Hoarau Hubert Huet Humbert Jacob Jacquet Jean Joly Julien Lacroix Lambert Langlois
    Laurent Lebrun Leclerc Leclercq Lecomte Lefebvre Lefèvre Léger Legrand Lemaire Lemoine Leroux Leroy Lévêque
    Lopez Louis Lucas Maillard Mallet Marchal Marchand Maréchal Marie Martin Martinez Marty Masson Mathieu Menard
    Mercier Meunier Meyer Michaud Michel Millet Monnier Moreau Morel Morin Moulin Muller Nguyen Nicolas Noël Olivier
    Paris Pasquier Payet Pelletier Perez Perret Perrin Perrot Petit Philippe Picard Pichon Pierre Poirier Pons
    Poulain Prévost Rémy Renard Renaud Rey Reynaud Richard Rivière Robert Robin Roche Rodriguez Roger Rolland
    Rousseau Roussel Roux Roy Royer Sanchez Schmitt Schneider Simon Tessier Thomas Traoré Vasseur Vidal Vincent
    Weber
"""

FAMILIES = """
    ATLAS BOREAL CERES DELTA ECLIPSE FALAISE GARONNE HELIOS IRIS JURA KAYAK LUMEN MISTRAL NACRE ORION PEGASE QUARTZ
    RHONE SIRIUS TITAN URANIE VEGA WALLABY XENON YUKON ZEPHYR
"""
WORKS = (
    "Refonte du portail client",
    "Migration vers le cloud",
    "Tableau de bord des ventes",
    "Application mobile des techniciens",
    "Entrepôt de données",
    "Audit de sécurité",
    "Dématérialisation des factures",
    "Schéma directeur",
    "Gestion documentaire",
    "Maintenance applicative",
    "Accompagnement au changement",
    "Prévision de la demande",
    "Espace adhérents",
)
CLIENTS = (
    "Mutuelle Arverne",
    "Ville de Saint-Aubin",
    "Transports du Lac",
    "Coopérative Val d'Or",
    "Assurances Belleroche",
    "Hôpital des Tilleuls",
    "Groupe Marjolaine",
    "Ateliers Ferrandi-Noir",
    "Région Haute-Rive",
    "Énergies du Ponant",
    "Éditions du Phare",
)
INTERNAL = (
    "Avant-vente",
    "Formation interne",
    "Encadrement",
    "Recrutement",
    "Outillage et qualité",
    "Veille et recherche",
    "Vie des équipes",
    "Gestion interne",
)


def ascii_of(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


@lru_cache(maxsize=1)
def _pairs() -> list[tuple[str, str]]:
    pairs = [(first, last.replace("Da-Silva", "Da Silva")) for first in _FIRST.split() for last in _LAST.split()]
    dice("names").shuffle(pairs)
    return pairs


def name_of(index: int) -> tuple[str, str, str]:
    """First name, last name and the local part of an address that nobody else has."""
    pairs = _pairs()
    first, last = pairs[index % len(pairs)]
    again = index // len(pairs)
    return first, last, f"{ascii_of(first)}.{ascii_of(last).replace(' ', '-')}{again + 1 if again else ''}"
